package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"provisioner/ipmi"
)

// clients is the role of many BMC clients, one for each BMC, all asked at once.
type clients struct {
	all []*ipmi.Client
}

// Question asks the first BMCs for their machines' power state.
type Question struct {
	BMCs  int
	Fresh bool // by new clients, so that sessions are to be opened
	Want  int  // answers that are waited for
}

// Ask returns how long it took until the answers that are wanted had come.
func (c *clients) Ask(q Question, took *time.Duration) error {
	ctx := context.Background()
	if q.Fresh {
		c.all = nil
		for i := range q.BMCs {
			c.all = append(c.all, ipmi.NewClient(ipmi.Config{Addr: bmcAddress(i), Username: bmcUser, Password: bmcPassword}))
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	answers := make(chan error, len(c.all))
	for _, client := range c.all {
		go func() { // ends with the client's patience
			_, err := client.Power(ctx)
			answers <- err
		}()
	}
	failed := 0
	for good := 0; good < q.Want; {
		if err := <-answers; err == nil {
			good++
		} else if failed++; failed > q.BMCs-q.Want {
			return fmt.Errorf("%d BMCs of %d give no answer: %w", failed, q.BMCs, err)
		}
	}
	*took = time.Since(began)
	return nil
}

// Close gives all sessions back, and returns how long it took.
func (c *clients) Close(_ none, took *time.Duration) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for _, client := range c.all {
		all.Go(func() { _ = client.Close(ctx) })
	}
	all.Wait()
	c.all = nil
	*took = time.Since(began)
	return nil
}

// powerBench is many BMCs, and a process that asks them.
type powerBench struct {
	boards, asker *process
}

func startPowerBench(ctx context.Context, cfg Boards) (*powerBench, error) {
	var p powerBench
	var err error
	if p.boards, err = startRole(ctx, "bmcs"); err != nil {
		return nil, err
	}
	if err = p.boards.call(ctx, "Start", cfg, &none{}); err == nil {
		p.asker, err = startRole(ctx, "clients")
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	return &p, nil
}

func (p *powerBench) stop() {
	if p.asker != nil {
		p.asker.stop()
	}
	p.boards.stop()
}

func (p *powerBench) ask(ctx context.Context, q Question) (took time.Duration, err error) {
	err = p.asker.call(ctx, "Ask", q, &took)
	return took, err
}

func (p *powerBench) close(ctx context.Context) (took time.Duration, err error) {
	err = p.asker.call(ctx, "Close", none{}, &took)
	return took, err
}

// powerStates is the power state of many BMCs: by us, with sessions to be
// opened and closed as ipmipower does, and with sessions that are open; by
// ipmipower; and by a process of ipmitool for each, four at a time.
func powerStates(ctx context.Context, d *director) ([]row, error) {
	if err := privileged(); err != nil {
		return nil, err
	}
	n, rounds := d.scale(1000, 10), d.scale(5, 1)
	p, err := startPowerBench(ctx, Boards{Well: n})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	var fresh, open, ipmipower sample
	for range rounds {
		took, err := p.ask(ctx, Question{BMCs: n, Fresh: true, Want: n})
		if err != nil {
			return nil, err
		}
		again, err := p.ask(ctx, Question{BMCs: n, Want: n})
		if err != nil {
			return nil, err
		}
		closing, err := p.close(ctx)
		if err != nil {
			return nil, err
		}
		fresh, open = append(fresh, took+closing), append(open, again)
		if took, err = askByIpmipower(ctx, d, n); err != nil {
			return nil, err
		}
		ipmipower = append(ipmipower, took)
	}
	part := max(n/10, 1)
	processes, err := askByIpmitool(ctx, part)
	if err != nil {
		return nil, err
	}
	peer := figure(ipmipower.median()) + " (ipmipower)"
	what := fmt.Sprintf("power state of %d BMCs, ", n)
	times := fmt.Sprintf(", median of %d", rounds)
	return []row{
		{
			Measure: what + "sessions opened and closed" + times, Ours: figure(fresh.median()), Peer: peer,
			Ratio: ratio(fresh.median(), ipmipower.median()), Target: "not slower", Met: fresh.median() <= ipmipower.median(),
		},
		{
			Measure: what + "sessions open" + times, Ours: figure(open.median()), Peer: peer,
			Ratio: ratio(open.median(), ipmipower.median()), Target: "4 times as fast: at most 0.25", Met: 4*open.median() <= ipmipower.median(),
		},
		{
			Measure: what + "sessions opened and closed" + times, Ours: figure(fresh.median()),
			Peer:  figure(processes*time.Duration(n/part)) + fmt.Sprintf(" (ipmitool, four at a time; %d asked, times %d)", part, n/part),
			Ratio: ratio(fresh.median(), processes*time.Duration(n/part)), Target: "not slower", Met: fresh.median() <= processes*time.Duration(n/part),
		},
	}, nil
}

// askByIpmipower returns how long one ipmipower takes for n BMCs.
func askByIpmipower(ctx context.Context, d *director, n int) (time.Duration, error) {
	config := filepath.Join(d.dir, "freeipmi.conf") // so that no password is an argument
	if err := os.WriteFile(config, []byte("username "+bmcUser+"\npassword "+bmcPassword+"\n"), 0o600); err != nil {
		return 0, err
	}
	var ranges []string
	for i := 0; i < n; i += 250 {
		ranges = append(ranges, fmt.Sprintf("127.1.%d.[1-%d]", i/250, min(250, n-i)))
	}
	began := time.Now()
	p, err := start(ctx, "ipmipower", nil, "ipmipower", "--config-file="+config, "-D", "LAN_2_0", "-h", strings.Join(ranges, ","), "--stat")
	if err != nil {
		return 0, err
	}
	<-p.exit
	took := time.Since(began)
	if got := strings.Count(p.said.String(), ": on\n"); got != n {
		return 0, fmt.Errorf("ipmipower: %d of %d machines are on%s", got, n, p.last())
	}
	return took, ctx.Err()
}

// askByIpmitool returns how long n processes of ipmitool take.
func askByIpmitool(ctx context.Context, n int) (time.Duration, error) {
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i := range n {
		group.Go(func() error {
			p, err := start(ctx, "ipmitool", []string{"IPMI_PASSWORD=" + bmcPassword, "IPMITOOL_PASSWORD=" + bmcPassword}, "ipmitool",
				"-I", "lanplus", "-C", "17", "-H", bmcAddress(i), "-U", bmcUser, "-E", "chassis", "power", "status")
			if err != nil {
				return err
			}
			<-p.exit
			if !strings.Contains(p.said.String(), "is on") {
				return fmt.Errorf("ipmitool on %s%s", bmcAddress(i), p.last())
			}
			return nil
		})
	}
	err := group.Wait()
	return time.Since(began), err
}

// powerWithDead compares how long the well BMCs take when they are alone, and
// when a tenth more is silent or answers rubbish: asked by clients all at once,
// and by a lab that starts.
func powerWithDead(ctx context.Context, d *director) ([]row, error) {
	if err := privileged(); err != nil {
		return nil, err
	}
	well, sick := d.scale(900, 8), d.scale(100, 2)
	rounds, starts := d.scale(11, 1), d.scale(3, 1)
	kinds := []Boards{{Well: well}, {Well: well, Sick: sick}}
	byClients, byLab := make([]sample, 2), make([]sample, 2)
	for round := range rounds {
		for i, cfg := range kinds {
			took, err := askSick(ctx, cfg)
			if err != nil {
				return nil, err
			}
			byClients[i] = append(byClients[i], took)
			if round >= starts {
				continue
			}
			dir := filepath.Join(d.dir, fmt.Sprintf("dead-%d-%d", round, i))
			if took, err = labWithSick(ctx, dir, cfg); err != nil {
				return nil, err
			}
			byLab[i] = append(byLab[i], took)
		}
	}
	const noise = 1.15
	rowOf := func(what string, s []sample) row {
		r := row{
			Measure: fmt.Sprintf("power state of %d BMCs beside %d that are dead or answer rubbish, %s, median of %d", well, sick, what, len(s[1])),
			Ours:    figure(s[1].median()), Peer: figure(s[0].median()) + " (ours, none of them dead)",
			Ratio: ratio(s[1].median(), s[0].median()), Target: fmt.Sprintf("as fast: at most %.2f", noise),
		}
		r.Met = r.Ratio <= noise
		return r
	}
	return []row{rowOf("sessions to be opened", byClients), rowOf("by a lab that starts", byLab)}, nil
}

func askSick(ctx context.Context, cfg Boards) (time.Duration, error) {
	p, err := startPowerBench(ctx, cfg)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	return p.ask(ctx, Question{BMCs: cfg.Well + cfg.Sick, Fresh: true, Want: cfg.Well})
}

func labWithSick(ctx context.Context, dir string, cfg Boards) (took time.Duration, err error) {
	boards, err := startRole(ctx, "bmcs")
	if err != nil {
		return 0, err
	}
	defer boards.stop()
	if err := boards.call(ctx, "Start", cfg, &none{}); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	if err := furnish(ctx, dir, cfg.Well+cfg.Sick); err != nil {
		return 0, err
	}
	p, err := startLab(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	err = p.call(ctx, "AwaitPower", cfg.Well, &took)
	return took, err
}
