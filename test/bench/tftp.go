package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"provisioner/boot"
)

// tftpFiles makes the folder that all servers serve, and returns it with what
// is in "big", of size bytes.
func tftpFiles(d *director, size int) (dir string, big []byte, err error) {
	dir = filepath.Join(d.dir, "tftp")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	if err := os.Chmod(d.dir, 0o755); err != nil { // peers serve what everybody may read
		return "", nil, err
	}
	big = make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(big)
	hourAgo := time.Now().Add(-time.Hour) // boot files are not of this second
	for name, content := range map[string][]byte{
		"big": big, "small": big[:1000],
		"loader": big[:size/100], "kernel": big[:size/20], "initrd": big[:size/10],
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, content, 0o644), os.Chtimes(path, hourAgo, hourAgo)); err != nil {
			return "", nil, err
		}
	}
	return dir, big, nil
}

// tftpThroughput loads a file of 100 MB in lockstep, as most ROMs do, from ours
// and its peers in turns: by one client, and by 32, each its first eighth; and from
// ours with a round trip of 1 ms, in lockstep and in windows.
func tftpThroughput(ctx context.Context, d *director) (rows []row, err error) {
	dir, big, err := tftpFiles(d, d.scale(100_000_000, 1_000_000))
	if err != nil {
		return nil, err
	}
	servers, stop, err := startTFTP(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer stop()
	for _, load := range []struct{ clients, bytes int }{{1, len(big)}, {32, len(big) / 8}} {
		took := make([]sample, len(servers))
		for round := range d.scale(5, 1) {
			for i := range servers {
				i := (i + round) % len(servers)
				t, err := loadAtOnce(ctx, servers[i], load.clients, big, load.bytes)
				if err != nil {
					return rows, fmt.Errorf("%s: %w", servers[i].name, err)
				}
				took[i] = append(took[i], t)
			}
		}
		total := load.clients * load.bytes
		for i, s := range servers[1:] {
			ours, peer := took[0].median(), took[i+1].median()
			rows = append(rows, row{
				Measure: fmt.Sprintf("TFTP, %d × %s, blksize %d, lockstep, beside %s", load.clients, megabytes(load.bytes), tftpBlock, s.name),
				Ours:    rate(total, ours), Peer: rate(total, peer), Ratio: ratio(ours, peer),
				Target: "ahead", Met: ours < peer,
			})
		}
	}

	part := len(big) / 20
	slow := tftpClient{from: tftpMachine(1), server: servers[0].addr, window: 1, delay: time.Millisecond}
	lockstep, err := timed(func() error { return slow.get(ctx, "kernel", big[:part], 0) })
	if err != nil {
		return rows, err
	}
	slow.window = 16
	windows, err := timed(func() error { return slow.get(ctx, "kernel", big[:part], 0) })
	if err != nil {
		return rows, err
	}
	return append(rows, row{
		Measure: fmt.Sprintf("TFTP, %s with 1 ms of round trip, windows of 16 beside ours in lockstep", megabytes(part)),
		Ours:    rate(part, windows), Peer: rate(part, lockstep), Ratio: ratio(windows, lockstep),
		Target: "≤ 0.10", Met: windows*10 <= lockstep,
	}), nil
}

// loadAtOnce is the time until all of some clients have the first part of "big".
func loadAtOnce(ctx context.Context, server tftpPeer, clients int, big []byte, part int) (time.Duration, error) {
	most := part
	if part == len(big) {
		most = 0
	}
	return timed(func() error {
		group, ctx := errgroup.WithContext(ctx)
		for i := range clients {
			group.Go(func() error {
				return tftpClient{from: tftpMachine(i), server: server.addr, window: 1}.get(ctx, "big", big, most)
			})
		}
		return group.Wait()
	})
}

// tftpLoss loads a file over a network that loses 2 % of the packets of each
// direction.
func tftpLoss(ctx context.Context, d *director) (rows []row, err error) {
	dir, big, err := tftpFiles(d, d.scale(100_000_000, 1_000_000))
	if err != nil {
		return nil, err
	}
	ours, addr, err := startOurTFTP(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	for _, c := range []struct {
		window, part int
		name         string
	}{{1, len(big) / 20, "kernel"}, {16, len(big), "big"}} {
		client := addr
		client.window, client.lost, client.seed = c.window, 0.02, 7
		r := row{
			Measure: fmt.Sprintf("TFTP, %s, 2 %% of packets lost each way, window %d", megabytes(c.part), c.window),
			Target:  "byte for byte",
		}
		took, err := timed(func() error { return client.get(ctx, c.name, big[:c.part], 0) })
		if ctx.Err() != nil {
			return rows, err
		}
		if r.Met = err == nil; r.Met {
			r.Ours = "byte for byte, " + rate(c.part, took)
		} else {
			r.Ours = err.Error()
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// tftpBoots has 200 machines boot at once: a bootloader, a configuration of
// their own, a kernel and an initrd.
func tftpBoots(ctx context.Context, d *director) ([]row, error) {
	dir, big, err := tftpFiles(d, d.scale(100_000_000, 1_000_000))
	if err != nil {
		return nil, err
	}
	ours, client, err := startOurTFTP(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	const machines = 200
	took, err := timed(func() error {
		group, ctx := errgroup.WithContext(ctx)
		for i := range machines {
			machine := client
			machine.from, machine.window = tftpMachine(i), 1
			group.Go(func() error {
				return errors.Join(
					machine.get(ctx, "loader", big[:len(big)/100], 0),
					machine.get(ctx, "config/"+strconv.Itoa(i), []byte("linux kernel\ninitrd initrd\n# "+strconv.Itoa(i)), 0),
					machine.get(ctx, "kernel", big[:len(big)/20], 0),
					machine.get(ctx, "initrd", big[:len(big)/10], 0),
				)
			})
		}
		return group.Wait()
	})
	if ctx.Err() != nil {
		return nil, err
	}
	total := len(big)/100 + len(big)/20 + len(big)/10
	r := row{
		Measure: fmt.Sprintf("TFTP, %d machines boot at once, %s each, lockstep", machines, megabytes(total)),
		Target:  "all complete, memory ≤ 256 MB",
	}
	if err != nil {
		r.Ours = err.Error()
		return []row{r}, nil
	}
	var stats boot.TFTPStats
	if err := ours.call(ctx, "Stats", none{}, &stats); err != nil {
		return nil, err
	}
	peak, err := ours.peakMemory()
	if err != nil {
		return nil, err
	}
	r.Ours = fmt.Sprintf("all complete, %s, %s at most, %d blocks again", rate(total*machines, took), megabytes(int(peak)), stats.Retransmissions)
	r.Met = peak <= 256_000_000
	return []row{r}, nil
}

// startOurTFTP starts our server, and returns a client of it.
func startOurTFTP(ctx context.Context, dir string) (*process, tftpClient, error) {
	ours, err := startRole(ctx, "tftp")
	if err != nil {
		return nil, tftpClient{}, err
	}
	var addr string
	if err := ours.call(ctx, "Serve", dir, &addr); err != nil {
		ours.stop()
		return nil, tftpClient{}, err
	}
	client := tftpClient{from: tftpMachine(1)}
	if err := client.server.UnmarshalText(bytes.TrimSpace([]byte(addr))); err != nil {
		ours.stop()
		return nil, tftpClient{}, err
	}
	return ours, client, nil
}

func timed(work func() error) (time.Duration, error) {
	began := time.Now()
	err := work()
	return time.Since(began), err
}

func megabytes(n int) string {
	if n >= 1e9 {
		return fmt.Sprintf("%.3g GB", float64(n)/1e9)
	}
	return fmt.Sprintf("%.3g MB", float64(n)/1e6)
}

// rate writes a time and what it means for n bytes.
func rate(n int, took time.Duration) string {
	return fmt.Sprintf("%s (%.0f MB/s)", figure(took), float64(n)/1e6/took.Seconds())
}
