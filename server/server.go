// Package server is where requests come in: over ssh, HTTP and TFTP. It turns
// each into one call of lab, and lab's answer into a screen, text, JSON or
// bytes. It decides nothing itself.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"charm.land/ssh"
	"golang.org/x/sync/errgroup"

	"provisioner/boot"
	"provisioner/lab"
	"provisioner/server/api"
	"provisioner/server/metrics"
)

// Config is what a [Server] needs.
type Config struct {
	Lab      *lab.Lab
	SSHAddr  string // host:port; an empty host is every interface
	HTTPAddr string
	TFTPAddr string
	HostKey  string // path of the ssh host key, which is made where it is missing
	DHCP     DHCPConfig
	Logger   *slog.Logger

	// MetricsAddr is where metrics can be read without a token; empty: nowhere.
	MetricsAddr string
	Metrics     *metrics.Metrics // which the lab tells, too; nil: it does not
}

// DHCPConfig is what a [Server] does for machines that ask for a boot. The zero
// value is the hook for DHCP servers in private networks, no ProxyDHCP and no
// DHCP server.
type DHCPConfig struct {
	Hook         boot.DHCPGuard
	Proxy        []string // network interfaces with a ProxyDHCP
	ProxyRelayed bool     // which answers what DHCP relays forward, too; see [boot.ProxyDHCP.Listen]
	Serve        []string // network interfaces with a DHCP server of our own, and no ProxyDHCP
}

// Server holds the listeners.
type Server struct {
	lab *lab.Lab
	log *slog.Logger

	sshListener  net.Listener
	httpListener net.Listener
	tftpConn     *net.UDPConn
	ssh          *ssh.Server
	http         *http.Server
	tftp         *boot.TFTPServer
	hookGuard    boot.DHCPGuard
	proxyDHCP    *boot.ProxyDHCP
	dhcp         *boot.DHCPServer
	terminals    terminals

	programs        api.Handler
	metrics         *metrics.Metrics
	metricsListener net.Listener // nil: there is none
	metricsHTTP     *http.Server
	serving         atomic.Bool
	sockets         sync.WaitGroup // of commands over HTTP, for which http.Server does not wait

	stopping context.Context //nolint:containedctx // what sessions end with, besides their own
	stop     context.CancelCauseFunc
}

// errStopping is what open sessions are told when the server ends.
var errStopping = errors.New("the server is stopping; log in again in a moment")

// farewell is how long sessions have to say goodbye before they are cut off.
const farewell = 2 * time.Second

// Listen takes the ports and serves none of them yet: where one of them
// cannot be had, nothing has happened.
func Listen(ctx context.Context, cfg Config) (_ *Server, err error) {
	for _, name := range cfg.DHCP.Serve {
		if slices.Contains(cfg.DHCP.Proxy, name) {
			return nil, fmt.Errorf("DHCP server and ProxyDHCP on %s: a ProxyDHCP is for networks that have another DHCP server; leave out --dhcp-server or --proxy-dhcp", name)
		}
	}
	s := &Server{
		lab: cfg.Lab, log: cfg.Logger, hookGuard: cfg.DHCP.Hook, metrics: cfg.Metrics,
		proxyDHCP: boot.NewProxyDHCP(cfg.Lab.DHCP(), cfg.Logger),
		dhcp:      boot.NewDHCPServer(cfg.Lab.DHCPLeases(), cfg.Logger),
	}
	if s.metrics == nil {
		s.metrics = metrics.New()
	}
	s.stopping, s.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeListeners())
		}
	}()
	var lc net.ListenConfig
	if s.sshListener, err = lc.Listen(ctx, "tcp", cfg.SSHAddr); err != nil {
		return nil, listenError("ssh", "--ssh-addr", cfg.SSHAddr, err)
	}
	if s.httpListener, err = lc.Listen(ctx, "tcp", cfg.HTTPAddr); err != nil {
		return nil, listenError("HTTP", "--http-addr", cfg.HTTPAddr, err)
	}
	if cfg.MetricsAddr != "" {
		if s.metricsListener, err = lc.Listen(ctx, "tcp", cfg.MetricsAddr); err != nil {
			return nil, listenError("metrics", "--metrics-addr", cfg.MetricsAddr, err)
		}
	}
	packets, err := lc.ListenPacket(ctx, "udp", cfg.TFTPAddr)
	if err != nil {
		return nil, listenError("TFTP", "--tftp-addr", cfg.TFTPAddr, err)
	}
	s.tftpConn = packets.(*net.UDPConn) // what "udp" gives
	for _, name := range cfg.DHCP.Proxy {
		if err := s.proxyDHCP.Listen(ctx, name, cfg.DHCP.ProxyRelayed); err != nil {
			return nil, err
		}
	}
	for _, name := range cfg.DHCP.Serve {
		if err := s.dhcp.Listen(ctx, name); err != nil {
			return nil, err
		}
	}
	if s.ssh, err = s.newSSH(cfg.HostKey); err != nil {
		return nil, fmt.Errorf("ssh host key %s: %w", cfg.HostKey, err)
	}
	if s.http, err = s.newHTTP(); err != nil {
		return nil, err
	}
	s.tftp = boot.NewTFTPServer(s.lab.BootFile, func(t boot.Transfer) {
		t.Name = lab.LogName(t.Name)
		t.Log(s.log)
	})
	s.metricsHTTP = s.newMetricsHTTP()
	s.metrics.Collect(metrics.Sources{
		Lab:       func(ctx context.Context) (lab.Statistics, error) { return s.lab.Statistics(ctx, lab.Local) },
		TFTP:      s.tftp.Stats,
		ProxyDHCP: s.ProxyDHCP,
		DHCP:      s.DHCP,
		API:       s.programs.Stats,
	})
	return s, nil
}

func listenError(what, flag, addr string, err error) error {
	return fmt.Errorf("listen for %s on %s: %w; give another address with %s", what, addr, errors.Unwrap(err), flag)
}

// SSHAddr is where people log in.
func (s *Server) SSHAddr() net.Addr { return s.sshListener.Addr() }

// HTTPAddr is where machines and browsers ask.
func (s *Server) HTTPAddr() net.Addr { return s.httpListener.Addr() }

// TFTPAddr is where machines get their boot files.
func (s *Server) TFTPAddr() net.Addr { return s.tftpConn.LocalAddr() }

// MetricsAddr is where metrics are read without a token; nil: nowhere.
func (s *Server) MetricsAddr() net.Addr {
	if s.metricsListener == nil {
		return nil
	}
	return s.metricsListener.Addr()
}

// ProxyDHCP counts what the ProxyDHCP does.
func (s *Server) ProxyDHCP() boot.ProxyDHCPStats { return s.proxyDHCP.Stats() }

// DHCP counts what our own DHCP server does.
func (s *Server) DHCP() boot.DHCPServerStats { return s.dhcp.Stats() }

func (s *Server) closeListeners() error {
	errs := []error{s.proxyDHCP.Close(), s.dhcp.Close()}
	if s.sshListener != nil {
		errs = append(errs, s.sshListener.Close())
	}
	if s.httpListener != nil {
		errs = append(errs, s.httpListener.Close())
	}
	if s.metricsListener != nil {
		errs = append(errs, s.metricsListener.Close())
	}
	if s.tftpConn != nil {
		errs = append(errs, s.tftpConn.Close())
	}
	return errors.Join(errs...)
}

// Serve answers until ctx ends, or a listener fails. Then open sessions are
// told why and have 2 s to end before they are cut off.
func (s *Server) Serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.tftp.Serve(ctx, s.tftpConn) })
	group.Go(func() error { return s.proxyDHCP.Serve(ctx) })
	group.Go(func() error { return s.dhcp.Serve(ctx) })
	group.Go(func() error {
		if err := s.http.Serve(s.httpListener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	if s.metricsListener != nil {
		group.Go(func() error {
			if err := s.metricsHTTP.Serve(s.metricsListener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve metrics: %w", err)
			}
			return nil
		})
	}
	s.serving.Store(true)
	group.Go(func() error {
		if err := s.ssh.Serve(s.sshListener); !errors.Is(err, ssh.ErrServerClosed) {
			return fmt.Errorf("serve ssh: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		s.stop(errStopping)
		goodbye, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		var both errgroup.Group
		both.Go(func() error {
			// Shutdown waits for sessions, which stop has ended; Close cuts off the rest.
			if s.ssh.Shutdown(goodbye) != nil {
				_ = s.ssh.Close()
			}
			return nil
		})
		both.Go(func() error {
			if s.http.Shutdown(goodbye) != nil {
				_ = s.http.Close()
			}
			s.programs.Wait()
			_ = s.metricsHTTP.Close()
			s.sockets.Wait() // they have been told, and hang up by themselves
			return nil
		})
		return both.Wait()
	})
	return group.Wait()
}
