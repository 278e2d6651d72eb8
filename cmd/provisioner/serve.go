package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	charmlog "charm.land/log/v2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/server"
	"provisioner/server/metrics"
	"provisioner/store"
)

// listen says where a server listens. The ports need no privileges.
type listen struct {
	SSHAddr   string   `name:"ssh-addr" default:":2222" help:"Where people log in."`
	HTTPAddr  string   `name:"http-addr" default:":8080" help:"API, DHCP hook and preseeds."`
	TFTPAddr  string   `name:"tftp-addr" default:":6969" help:"Boot files. Machines ask port 69."`
	Metrics   string   `name:"metrics-addr" placeholder:"ADDRESS" help:"Where metrics, /healthz and /readyz are read without a token, such as 127.0.0.1:9100. Left out: metrics are at the HTTP address, for tokens."`
	PublicURL *url.URL `name:"public-url" help:"Base of the addresses that machines are given, such as http://10.0.0.1:8080/. Left out: this host's address, and the HTTP port."`
	LogLevel  string   `default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
}

// data says where everything is kept.
type data struct {
	Data string `default:"/var/lib/provisioner" help:"Folder of the database, images and the ssh host key." type:"path"`
}

// dhcpFlags say what is done for machines that ask for an address.
type dhcpFlags struct {
	HookFrom         []netip.Prefix `name:"dhcp-hook-from" placeholder:"NETWORK" help:"Who may ask the DHCP hook. Left out: private networks and this host."`
	HookSecretFile   string         `name:"dhcp-hook-secret-file" placeholder:"FILE" type:"path" help:"File that holds a secret, which callers of the DHCP hook then have to show (Authorization: Bearer SECRET)."`
	ProxyDHCP        []string       `name:"proxy-dhcp" placeholder:"INTERFACE" help:"Network interfaces on which machines are told what to boot, beside a DHCP server that gives them addresses. Needs CAP_NET_BIND_SERVICE."`
	ProxyDHCPRelayed bool           `name:"proxy-dhcp-relayed" help:"Answer what DHCP relays forward, too. The DHCP server must then be on another host."`
	DHCPServer       []string       `name:"dhcp-server" placeholder:"INTERFACE" help:"Network interfaces on which addresses are handed out, where there is no other DHCP server. Needs CAP_NET_BIND_SERVICE, and a network with a pool (provisioner network)."`
	DnsmasqDir       string         `name:"dnsmasq-dir" placeholder:"DIR" type:"path" help:"Folder to which files for the site's dnsmasq are written (conf-file=DIR/provisioner.conf)."`
	DnsmasqPIDFile   string         `name:"dnsmasq-pid-file" placeholder:"FILE" type:"path" help:"dnsmasq's PID file: it is told when its files have changed."`
	MaxDiscovered    int            `name:"max-discovered" default:"1000" help:"How many addresses of no machine are remembered."`
}

// config reads the secret.
func (d dhcpFlags) config() (server.DHCPConfig, error) {
	config := server.DHCPConfig{Hook: boot.DHCPGuard{From: d.HookFrom}, Proxy: d.ProxyDHCP, ProxyRelayed: d.ProxyDHCPRelayed, Serve: d.DHCPServer}
	if d.HookSecretFile == "" {
		return config, nil
	}
	secret, err := readFile(d.HookSecretFile, 1<<10)
	if err != nil {
		return config, fmt.Errorf("read the DHCP hook's secret: %w", err)
	}
	config.Hook.Secret = strings.TrimRight(string(secret), "\r\n")
	if config.Hook.Secret == "" {
		return config, fmt.Errorf("the DHCP hook's secret: %s is empty; leave out --dhcp-hook-secret-file for none", d.HookSecretFile)
	}
	return config, nil
}

type serveCommand struct {
	listen
	dhcpFlags
	data
}

func (c *serveCommand) Run(ctx context.Context) error {
	if c.MaxDiscovered < 1 {
		return fmt.Errorf("--max-discovered %d: at least 1 is needed", c.MaxDiscovered)
	}
	return serve(ctx, c.listen, c.dhcpFlags, c.Data, nil)
}

// serve runs the product until ctx ends. prepare, where there is one, is
// called once machines are served, and before people are told how to get in.
func serve(ctx context.Context, addrs listen, dhcp dhcpFlags, dataDir string, prepare func(context.Context, *lab.Lab, *server.Server) error) (err error) {
	log := newLogger(addrs.LogLevel)
	dhcpConfig, err := dhcp.config()
	if err != nil {
		return err
	}
	db, unlock, err := openData(ctx, dataDir, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close(), unlock()) }()

	publicURL := addrs.PublicURL
	if publicURL == nil {
		publicURL = guessPublicURL(addrs.HTTPAddr)
	}
	counts := metrics.New()
	l, err := lab.New(lab.Config{
		Store: db, DataDir: dataDir, PublicURL: publicURL, Logger: log, MaxDiscovered: dhcp.MaxDiscovered, Observer: counts,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	s, err := server.Listen(ctx, server.Config{
		Lab: l, SSHAddr: addrs.SSHAddr, HTTPAddr: addrs.HTTPAddr, TFTPAddr: addrs.TFTPAddr,
		HostKey: filepath.Join(dataDir, "ssh_host_ed25519_key"), Logger: log, DHCP: dhcpConfig,
		MetricsAddr: addrs.Metrics, Metrics: counts,
	})
	if err != nil {
		return err
	}
	if len(dhcpConfig.Proxy)+len(dhcpConfig.Serve) > 0 && port(s.TFTPAddr()) != "69" {
		log.Warn("DHCP sends machines to TFTP port 69, and this server listens on another one: give --tftp-addr :69", "tftp", s.TFTPAddr())
	}

	// The lab ends after the server: sessions are told that the server stops,
	// before their consoles go away.
	labCtx, stopLab := context.WithCancel(context.WithoutCancel(ctx))
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer stopLab()
		return s.Serve(groupCtx)
	})
	group.Go(func() error { return l.Run(labCtx) })
	if dhcp.DnsmasqDir != "" {
		group.Go(func() error {
			return l.KeepDnsmasq(groupCtx, lab.DnsmasqConfig{Dir: dhcp.DnsmasqDir, PIDFile: dhcp.DnsmasqPIDFile})
		})
	}
	group.Go(func() error {
		if prepare != nil {
			if err := prepare(groupCtx, l, s); err != nil {
				return err
			}
		}
		return greet(groupCtx, l, s, publicURL)
	})
	return group.Wait()
}

// greet says how to get in.
func greet(ctx context.Context, l *lab.Lab, s *server.Server, publicURL *url.URL) error {
	host := publicURL.Hostname()
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		host = "localhost"
	}
	claimable, err := l.Claimable(ctx)
	if err != nil {
		return err
	}
	code := "claimed already: log in with a key that is enrolled"
	if claimable {
		code = "claim code: " + l.ClaimCode()
	}
	_, err = fmt.Printf("\n    ssh -p %s %s@%s\n    %s\n    http://%s/\n\n", port(s.SSHAddr()), lab.ClaimUser, host, code,
		net.JoinHostPort(host, port(s.HTTPAddr())))
	return err
}

func port(addr net.Addr) string {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return port
}

// guessPublicURL takes the address by which this host would reach the world.
// No packet is sent.
func guessPublicURL(httpAddr string) *url.URL {
	host, port, err := net.SplitHostPort(httpAddr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
		if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil { //nolint:noctx // sends nothing
			host = conn.LocalAddr().(*net.UDPAddr).IP.String()
			_ = conn.Close() // nothing was written
		}
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: "/"}
}

// openData opens the data folder and makes it where it is missing. exclusive
// keeps a second server from it.
func openData(ctx context.Context, dir string, exclusive bool) (*store.DB, func() error, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the data folder: %w; give another one with --data", err)
	}
	unlock := func() error { return nil }
	if exclusive {
		lock, err := os.OpenFile(filepath.Join(dir, "server.lock"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("use the data folder: %w; give another one with --data", err)
		}
		unlock = lock.Close // the kernel forgets the lock with the file
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("another provisioner serves the data folder %s: stop it, or give another one with --data", dir), unlock())
		}
	}
	db, err := store.Open(ctx, filepath.Join(dir, "provisioner.db"))
	if err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	return db, unlock, nil
}

func newLogger(level string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // kong has checked it
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return slog.New(charmlog.NewWithOptions(os.Stderr, charmlog.Options{Level: charmlog.Level(l), ReportTimestamp: true}))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
}
