package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"charm.land/ssh"
	"charm.land/wish/v2"
	gossh "golang.org/x/crypto/ssh"

	"provisioner/lab"
	"provisioner/tui"
)

const (
	// handshakeTime is how long a client may take to log in, typing included.
	handshakeTime = 2 * time.Minute

	// maxKeys is how many keys a client may try before it is cut off, and
	// could not be told why. Agents hold many.
	maxKeys = 20
)

// exitCode is how a refusal is said to a shell.
var exitCode = map[lab.Code]int{
	lab.Internal:    1,
	lab.Invalid:     2,
	lab.NotFound:    3,
	lab.Denied:      4,
	lab.Conflict:    5,
	lab.Unavailable: 6,
}

func (s *Server) newSSH(hostKey string) (*ssh.Server, error) {
	return wish.NewServer(
		wish.WithHostKeyPath(hostKey),
		wish.WithVersion("provisioner"),
		wish.WithPublicKeyAuth(s.mayTryKey),
		wish.WithKeyboardInteractiveAuth(s.explainRefusal),
		func(server *ssh.Server) error {
			server.PtyHandler = s.terminals.allocate
			server.Handler = s.session
			server.SubsystemHandlers = map[string]ssh.SubsystemHandler{"sftp": s.sftp}
			server.ChannelHandlers = map[string]ssh.ChannelHandler{
				"session": func(server *ssh.Server, conn *gossh.ServerConn, channel gossh.NewChannel, ctx ssh.Context) {
					ssh.DefaultSessionHandler(server, conn, withoutAgent{channel, ctx}, ctx)
				},
				"direct-tcpip": s.jump,
				"default":      refuseChannel,
			}
			server.HandshakeTimeout = handshakeTime
			server.ServerConfigCallback = func(ssh.Context) *gossh.ServerConfig {
				return &gossh.ServerConfig{MaxAuthTries: maxKeys}
			}
			return nil
		},
	)
}

// A connection's notes to itself, from one step of the log-in to the next.
type (
	refusedKey struct{} // the fingerprint of the last key that was not taken
	explained  struct{} // the person was told why they cannot come in
)

// mayTryKey lets in those whose key is enrolled, and, while nobody has claimed
// the server, whoever comes as its first admin: they are asked for the code
// once they have proven to have the key.
func (s *Server) mayTryKey(ctx ssh.Context, key ssh.PublicKey) bool {
	fingerprint := gossh.FingerprintSHA256(key)
	known, err := s.lab.KnowsKey(ctx, ctx.User(), fingerprint)
	if err == nil && !known && ctx.User() == lab.ClaimUser {
		known, err = s.lab.Claimable(ctx)
	}
	if err != nil {
		s.log.Error("log-in failed", "user", ctx.User(), "error", err)
		return false
	}
	if !known {
		ctx.SetValue(refusedKey{}, fingerprint)
	}
	return known
}

// explainRefusal lets nobody in. It is what an ssh client tries when its keys
// were not taken, and the one way to tell its person why.
func (s *Server) explainRefusal(ctx ssh.Context, challenge gossh.KeyboardInteractiveChallenge) bool {
	if ctx.Value(explained{}) != nil {
		return false // clients ask three times
	}
	ctx.SetValue(explained{}, true)
	user := printable(ctx.User())
	message := fmt.Sprintf("You have come without an ssh key. Make one with:  ssh-keygen -t ed25519\n"+
		"and give ~/.ssh/id_ed25519.pub to an admin, for the account %s.\n", user)
	if fingerprint, ok := ctx.Value(refusedKey{}).(string); ok {
		message = fmt.Sprintf("The key %s is not enrolled for %s.\n"+
			"An admin can add it on the server:  provisioner user add %s --key FILE\n", fingerprint, user, user)
	} else if claimable, err := s.lab.Claimable(ctx); err == nil && claimable && ctx.User() == lab.ClaimUser {
		message = "You have come without an ssh key. Make one with:  ssh-keygen -t ed25519\nand log in again.\n"
	}
	_, _ = challenge("", message, nil, nil)
	return false
}

// session serves one person, or one command of theirs.
func (s *Server) session(sess ssh.Session) {
	term := s.terminals.of(sess)
	_ = sess.Exit(s.serve(sess, term)) // the client may have gone
}

// serve does what a session is for, and returns its exit code.
func (s *Server) serve(sess ssh.Session, term *terminal) (code int) {
	ctx, cancel := context.WithCancelCause(sess.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.stopping, func() { cancel(context.Cause(s.stopping)) })()
	actor, err := s.logIn(ctx, sess, term)
	if err != nil {
		return s.tell(sess.Stderr(), term, sess.User(), ended(ctx, err))
	}
	if len(sess.Command()) > 0 {
		return s.runCommandLine(ctx, commandLine{
			actor: actor, args: sess.Command(), stdin: sessionInput{sess}, stdout: sess, stderr: sess.Stderr(), terminal: term, breaks: sess.Break,
		})
	}
	ctx, leave := s.stay(ctx, actor)
	defer leave()
	return s.tell(sess.Stderr(), term, sess.User(), ended(ctx, s.dashboard(ctx, sess, term, actor)))
}

// dashboard shows a person their machines until they leave.
func (s *Server) dashboard(ctx context.Context, sess ssh.Session, term *terminal, actor lab.Actor) error {
	if term == nil {
		return &lab.Error{Code: lab.Invalid, Message: "the dashboard needs a terminal (ssh -t); commands do not: try help"}
	}
	return tui.Run(ctx, tui.Config{Lab: s.lab, Actor: actor, SSHAddr: sess.Context().LocalAddr().String()}, tui.Terminal{
		In: sess, Out: sess, Width: term.width, Height: term.height, Resize: term.resized,
		Env: append(sess.Environ(), "TERM="+term.name),
	})
}

// logIn makes an actor of who is at the other end.
func (s *Server) logIn(ctx context.Context, sess ssh.Session, term *terminal) (lab.Actor, error) {
	key, remote := sess.PublicKey(), sess.RemoteAddr().String()
	if key == nil {
		return lab.Actor{}, &lab.Error{Code: lab.Denied, Message: "log in with an ssh key"}
	}
	fingerprint := gossh.FingerprintSHA256(key)
	known, err := s.lab.KnowsKey(ctx, sess.User(), fingerprint)
	if err != nil {
		return lab.Actor{}, err
	}
	if known || sess.User() != lab.ClaimUser {
		return s.lab.Login(ctx, sess.User(), fingerprint, remote) // which refuses, where the key was taken away just now
	}
	return s.claim(ctx, sess, term, lab.PublicKey{
		Fingerprint: fingerprint,
		Authorized:  strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key))),
		Comment:     "claimed from " + remote,
	}, remote)
}
