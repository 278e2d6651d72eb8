package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sync/errgroup"

	"provisioner/lab"
)

const (
	// dialTime is how long a machine may take to answer before its person is
	// told that it does not.
	dialTime = 10 * time.Second

	maxHostName = 255 // bytes; RFC 1035 §2.3.4
)

// directTCPIP is what a client asks for that wants to reach a host through this
// server (RFC 4254 §7.2).
type directTCPIP struct {
	Host       string
	Port       uint32
	OriginHost string
	OriginPort uint32
}

// jump connects a person to a machine that they hold, where the site allows
// it: what `ssh -J` and `ssh -L` ask for.
func (s *Server) jump(_ *ssh.Server, conn *gossh.ServerConn, channel gossh.NewChannel, ctx ssh.Context) {
	var asked directTCPIP
	if err := gossh.Unmarshal(channel.ExtraData(), &asked); err != nil ||
		len(asked.Host) > maxHostName || asked.Port == 0 || asked.Port > 65535 {
		_ = channel.Reject(gossh.Prohibited, "this is no address that could be reached")
		return
	}
	err := s.connect(ctx, conn, channel, asked)
	if err == nil {
		return
	}
	s.log.Info("connection to a machine refused or ended", "user", conn.User(), "to", printable(asked.Host), "port", asked.Port, "error", err)
	reason := gossh.Prohibited
	switch lab.CodeOf(err) {
	case lab.Unavailable:
		reason = gossh.ConnectionFailed
	case lab.Internal:
		reason, err = gossh.ConnectionFailed, errors.New("internal error; the server's log has more")
	default:
	}
	_ = channel.Reject(reason, printable(err.Error())) // does nothing to one that was accepted
}

// connect carries bytes between a channel and a machine until one of them is
// done, or the person may not reach the machine any more.
func (s *Server) connect(sshCtx ssh.Context, conn *gossh.ServerConn, channel gossh.NewChannel, asked directTCPIP) error {
	actor, err := s.jumper(sshCtx, conn)
	if err != nil {
		return err
	}
	ctx, leave := s.stay(sshCtx, actor)
	defer leave()
	tunnelCtx, tunnel, err := s.lab.OpenTunnel(ctx, actor, asked.Host, uint16(asked.Port))
	if err != nil {
		return ended(ctx, err)
	}
	defer tunnel.Close()
	ctx = tunnelCtx

	dialer := net.Dialer{Timeout: dialTime}
	machine, err := dialer.DialContext(ctx, "tcp4", tunnel.To.String())
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // the rest is said already
		}
		return &lab.Error{Code: lab.Unavailable, Err: err, Message: fmt.Sprintf("reach %s at %s: %s", tunnel.Machine, tunnel.To, err)}
	}
	defer func() { _ = machine.Close() }()
	accepted, requests, err := channel.Accept()
	if err != nil {
		return nil // the client has gone
	}
	go gossh.DiscardRequests(requests) // ends with the channel
	defer func() { _ = accepted.Close() }()
	carry(ctx, accepted, machine.(*net.TCPConn)) // what "tcp4" gives
	return ended(ctx, nil)
}

// jumper makes an actor of who is at the other end, once for all that they
// reach over one connection: clients that forward ports open one channel after
// another.
func (s *Server) jumper(ctx ssh.Context, conn *gossh.ServerConn) (lab.Actor, error) {
	type jumper struct{}
	if actor, ok := ctx.Value(jumper{}).(lab.Actor); ok {
		return actor, nil
	}
	key, ok := ctx.Value(ssh.ContextKeyPublicKey).(ssh.PublicKey)
	if !ok {
		return lab.Actor{}, &lab.Error{Code: lab.Denied, Message: "log in with an ssh key"}
	}
	// Who has not claimed the server yet has no account, and is refused.
	actor, err := s.lab.Login(ctx, conn.User(), gossh.FingerprintSHA256(key), conn.RemoteAddr().String())
	if err == nil {
		ctx.SetValue(jumper{}, actor)
	}
	return actor, err
}

// halfCloser is a connection of which one direction can end before the other.
type halfCloser interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// carry copies between two connections until both directions have ended, one
// of them fails, or ctx ends, and closes both.
func carry(ctx context.Context, a, b halfCloser) {
	group, ctx := errgroup.WithContext(ctx)
	for _, way := range []struct{ to, from halfCloser }{{a, b}, {b, a}} {
		group.Go(func() error {
			if _, err := io.Copy(way.to, way.from); err != nil {
				return err
			}
			return way.to.CloseWrite()
		})
	}
	unhook := context.AfterFunc(ctx, func() { // which ends the copying
		_ = a.Close()
		_ = b.Close()
	})
	_ = group.Wait() // how a stream of somebody else's ends is no matter of ours
	unhook()
	_ = a.Close()
	_ = b.Close()
}

// refuseChannel says no to what else a client may want to have forwarded.
func refuseChannel(_ *ssh.Server, _ *gossh.ServerConn, channel gossh.NewChannel, _ ssh.Context) {
	_ = channel.Reject(gossh.UnknownChannelType, "this server forwards nothing but connections to machines that you hold (ssh -J)")
}

// agentRequest is how a client offers its agent (OpenSSH's PROTOCOL.agent).
const agentRequest = "auth-agent-req@openssh.com"

// withoutAgent is a session whose client keeps its agent: the library would
// accept it, and nobody has any use for it here.
type withoutAgent struct {
	gossh.NewChannel
	ctx context.Context //nolint:containedctx // of the connection
}

func (c withoutAgent) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	channel, requests, err := c.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	kept := make(chan *gossh.Request)
	go func() { // ends with the session, or its connection
		defer close(kept)
		offered := false
		for r := range requests {
			switch {
			case r.Type == agentRequest:
				offered = true
				_ = r.Reply(false, nil)
				continue
			case r.Type == "pty-req" && offered: // a person reads it, and no program
				_, _ = io.WriteString(channel.Stderr(), "[agent forwarding is off: nobody here uses your keys]\r\n")
			}
			select {
			case kept <- r:
			case <-c.ctx.Done():
				return
			}
		}
	}()
	return channel, kept, nil
}
