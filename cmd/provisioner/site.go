package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

type siteCommand struct {
	Show    siteShowCommand `cmd:"" help:"What is decided for all machines."`
	Set     siteSetCommand  `cmd:"" help:"Decide something else."`
	Webhook webhookCommand  `cmd:"" help:"Addresses that are told of reservations over HTTP."`
}

type siteShowCommand struct{ data }

func (c *siteShowCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		site, err := l.Site(ctx, lab.Local)
		if err != nil {
			return err
		}
		consoles := store.ConsoleAlways
		if site.ConsolesOnDemand {
			consoles = store.ConsoleOnDemand
		}
		_, err = fmt.Printf("consoles         %s\nconsoles-insist  %t\nterm             %s\nmax-term         %s\ngrace            %s\nidle-after       %s\nrelease          %s\nproxy-jump       %t\n",
			consoles, site.ConsolesInsist, lasting(site.Term), lasting(site.MaxTerm), lasting(site.Grace), lasting(site.IdleAfter), site.Release, site.ProxyJump)
		return err
	})
}

// none is how no time is written.
const none = "none"

func lasting(d time.Duration) string {
	if d == 0 {
		return none
	}
	return lab.TermText(d)
}

// span is a time in a flag: 4h, 7d, none.
type span time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *span) UnmarshalText(text []byte) error {
	if string(text) == none {
		*s = 0
		return nil
	}
	d, err := lab.ParseTerm(string(text))
	*s = span(d)
	return err
}

type siteSetCommand struct {
	data
	Consoles       string `default:"" enum:",always,on-demand" help:"always: connected and logged all the time. on-demand: while somebody watches, or a run goes on."`
	ConsolesInsist *bool  `negatable:"" help:"Take a console from another program for the sake of its log, too; at most once a minute."`
	Term           *span  `placeholder:"TIME" help:"For how long a machine is had by who does not say for how long: 8h, 7d, 2w, none."`
	MaxTerm        *span  `placeholder:"TIME" help:"For how long at most, extensions included. Neither is for admins."`
	Grace          *span  `placeholder:"TIME" help:"How long after the end of its term a machine is still its holder's."`
	IdleAfter      *span  `placeholder:"TIME" help:"After how long without power, a run, or anybody at its console a machine is released; none: never."`
	ProxyJump      *bool  `negatable:"" help:"Let people reach the machines that they hold through this server (ssh -J), by name or address. Keep BMCs in a network of their own."`
	Release        string `default:"" enum:",leave,power-off" help:"What becomes of a machine that is given back, and that nobody waits for: leave it as it is, or power-off."`
}

func (c *siteSetCommand) Run(ctx context.Context) error {
	if *c == (siteSetCommand{data: c.data}) {
		return errors.New("site set: say what; --help lists it")
	}
	return c.local(ctx, func(l *lab.Lab) error {
		return l.ChangeSite(ctx, lab.Local, func(s *lab.Site) {
			if c.Consoles != "" {
				s.ConsolesOnDemand = c.Consoles == string(store.ConsoleOnDemand)
			}
			if c.ConsolesInsist != nil {
				s.ConsolesInsist = *c.ConsolesInsist
			}
			if c.Term != nil {
				s.Term = time.Duration(*c.Term)
			}
			if c.MaxTerm != nil {
				s.MaxTerm = time.Duration(*c.MaxTerm)
			}
			if c.Grace != nil {
				s.Grace = time.Duration(*c.Grace)
			}
			if c.IdleAfter != nil {
				s.IdleAfter = time.Duration(*c.IdleAfter)
			}
			if c.ProxyJump != nil {
				s.ProxyJump = *c.ProxyJump
			}
			if c.Release != "" {
				s.Release = lab.ReleasePolicy(c.Release)
			}
		})
	})
}

type webhookCommand struct {
	List webhookListCommand `cmd:"" default:"withargs" help:"The addresses, without their secrets."`
	Set  webhookSetCommand  `cmd:"" help:"Have an address told, or change its secret."`
	Rm   webhookRmCommand   `cmd:"" help:"Have an address told no more."`
}

type webhookListCommand struct{ data }

func (c *webhookListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		hooks, err := l.Webhooks(ctx, lab.Local)
		for _, h := range hooks {
			if _, err := fmt.Println(h.URL); err != nil {
				return err
			}
		}
		return err
	})
}

type webhookSetCommand struct {
	data
	URL        string `arg:"" name:"url" help:"http or https. It gets a POST with JSON; redirects are not followed."`
	SecretFile string `required:"" type:"path" help:"File that holds the secret by which the X-Provisioner-Signature is made (HMAC-SHA256 of the body): 16 bytes at least. A dash: standard input."`
}

func (c *webhookSetCommand) Run(ctx context.Context) error {
	secret, err := readSecret(c.SecretFile, "the webhook's secret")
	if err != nil {
		return err
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.SetWebhook(ctx, lab.Local, c.URL, secret) })
}

type webhookRmCommand struct {
	data
	URL string `arg:"" name:"url" help:"As it was set."`
}

func (c *webhookRmCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveWebhook(ctx, lab.Local, c.URL) })
}
