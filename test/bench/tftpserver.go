package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"provisioner/boot"
)

// tftpServer is the role of our server.
type tftpServer struct{ server *boot.TFTPServer }

// Serve serves a folder, and a configuration that is made for each request
// below the name "config/". It returns the address.
func (s *tftpServer) Serve(dir string, addr *string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	s.server = boot.NewTFTPServer(func(_ context.Context, name string, _ netip.AddrPort) (boot.TFTPFile, error) {
		if machine, ok := strings.CutPrefix(name, "config/"); ok {
			return config{strings.NewReader("linux kernel\ninitrd initrd\n# " + machine)}, nil
		}
		return boot.OpenInRoot(root, name)
	}, func(boot.Transfer) {})
	*addr = conn.LocalAddr().String()
	go func() { _ = s.server.Serve(context.Background(), conn) }() // ends with the process
	return nil
}

// Stats are the server's.
func (s *tftpServer) Stats(_ none, stats *boot.TFTPStats) error {
	if s.server == nil {
		return errors.New("nothing is served")
	}
	*stats = s.server.Stats()
	return nil
}

type config struct{ *strings.Reader }

func (config) Close() error { return nil }

// tftpPeer is a server that serves a folder.
type tftpPeer struct {
	name string
	addr netip.AddrPort
	*process
}

// startTFTP starts our server and its peers, ours first.
func startTFTP(ctx context.Context, dir string) (servers []tftpPeer, stop func(), failure error) {
	stop = func() {
		for _, s := range servers {
			s.stop()
		}
	}
	defer func() {
		if failure != nil {
			stop()
		}
	}()
	ours, err := startRole(ctx, "tftp")
	if err != nil {
		return nil, stop, err
	}
	servers = append(servers, tftpPeer{name: "ours", process: ours})
	var addr string
	if err := ours.call(ctx, "Serve", dir, &addr); err != nil {
		return servers, stop, err
	}
	servers[0].addr = netip.MustParseAddrPort(addr)

	folder := tftpdFolder()
	hpa, atftpd := filepath.Join(folder, "tftpd-hpa/usr/sbin/in.tftpd"), filepath.Join(folder, "atftpd/usr/sbin/atftpd")
	if _, err := os.Stat(atftpd); err != nil {
		return servers, stop, leftOut{fmt.Errorf("peers are missing, test/packages.sh unpacks them: %w", err)}
	}
	dnsmasq, err := exec.LookPath("dnsmasq")
	if err != nil {
		return servers, stop, err
	}
	hpaPort, err := freePort(ctx)
	if err != nil {
		return servers, stop, err
	}
	atftpdPort, err := freePort(ctx)
	if err != nil {
		return servers, stop, err
	}
	// dnsmasq knows no port but 69.
	const local, own = "127.0.0.1", "127.0.0.69"
	for _, p := range []struct {
		name, addr string
		args       []string
	}{
		{"tftpd-hpa", local + ":" + hpaPort,
			[]string{hpa, "-L", "-u", "root", "-a", local + ":" + hpaPort, "-s", dir}},
		{"atftpd", local + ":" + atftpdPort,
			[]string{atftpd, "--daemon", "--no-fork", "--user", "root", "--group", "root", "--maxthread", "300",
				"--bind-address", local, "--port", atftpdPort, dir}},
		{"dnsmasq", own + ":69",
			[]string{dnsmasq, "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file", "--log-facility=-",
				"--enable-tftp", "--tftp-max=300", "--quiet-tftp", "--tftp-root=" + dir, "--listen-address=" + own, "--bind-interfaces"}},
	} {
		process, err := start(ctx, p.name, nil, p.args[0], p.args[1:]...)
		if err != nil {
			return servers, stop, err
		}
		servers = append(servers, tftpPeer{p.name, netip.MustParseAddrPort(p.addr), process})
	}
	for _, s := range servers {
		if err := (tftpClient{from: tftpMachine(0), server: s.addr, window: 1}).get(ctx, "small", nil, 0); err != nil {
			return servers, stop, fmt.Errorf("%s: %w%s", s.name, err, s.last())
		}
	}
	return servers, stop, nil
}

// tftpdFolder is where test/packages.sh unpacks servers.
func tftpdFolder() string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "provisioner-test", "tftpd")
}

// tftpdVersions are the lines about the packages in there.
func tftpdVersions() string {
	text, err := os.ReadFile(filepath.Join(tftpdFolder(), "versions"))
	if err != nil {
		return ""
	}
	return string(text)
}

// tftpMachine is the address of a machine.
func tftpMachine(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 2, byte(i >> 8), byte(i)}), 0)
}
