package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"provisioner/lab"
	"provisioner/server"
	"provisioner/store"
)

const benchUser = "ada"

// site is the role of the whole product: a lab behind its listeners on
// loopback. It runs until the process ends.
type site struct {
	lab *lab.Lab
	db  *store.DB
}

// Site is what there is in it.
type Site struct {
	Dir      string
	Machines int    // of siteMAC, which all boot from the network
	Key      string // of benchUser, as in authorized_keys; empty: they have none
	User     bool   // there is benchUser, with a token; with a Key, too
}

// SiteAddress is where a site is found.
type SiteAddress struct{ HTTP, SSH, Token string }

// Start makes a site and serves it.
func (r *site) Start(s Site, at *SiteAddress) error {
	ctx := context.Background()
	db, err := store.Open(ctx, labStore(s.Dir))
	if err != nil {
		return err
	}
	l, err := lab.New(lab.Config{Store: db, DataDir: s.Dir, PublicURL: &url.URL{Scheme: "http", Host: "127.0.0.1"}})
	if err != nil {
		return err
	}
	if err := errors.Join(addMachines(ctx, l, db, s.Machines), addUser(ctx, l, s, &at.Token)); err != nil {
		return err
	}
	r.lab, r.db = l, db
	listeners, err := server.Listen(ctx, server.Config{
		Lab: l, SSHAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", TFTPAddr: "127.0.0.1:0",
		HostKey: filepath.Join(s.Dir, "host_key"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	at.HTTP, at.SSH = listeners.HTTPAddr().String(), listeners.SSHAddr().String()
	go func() { _ = l.Run(ctx) }()           // until the process ends
	go func() { _ = listeners.Serve(ctx) }() // likewise
	return nil
}

// siteMAC is the address of a machine.
func siteMAC(i int) string {
	return net.HardwareAddr{0x52, 0x54, 0, 2, byte(i >> 8), byte(i)}.String()
}

// addMachines adds machines that boot from the network, and a bootloader.
func addMachines(ctx context.Context, l *lab.Lab, db *store.DB, machines int) error {
	if machines == 0 {
		return nil
	}
	err := l.AddImage(ctx, lab.Local, lab.NewImage{
		Name: "grub", Type: store.ImageBootloader, Arch: "amd64", Subarch: "uefi", Filename: "grubx64.efi", Public: true,
	}, strings.NewReader("content of grub"))
	if err != nil {
		return err
	}
	return db.Write(ctx, func(tx *store.Tx) error {
		subarch, err := tx.Subarch(ctx, "amd64", "uefi")
		for i := 0; i < machines && err == nil; i++ {
			m := store.Machine{Name: fmt.Sprintf("node-%05d", i), SubarchID: subarch.ID, State: store.StateReady, CreatedAt: time.Now()}
			if m.ID, err = tx.AddMachine(ctx, m); err == nil {
				m.NetbootEnabled = true
				err = errors.Join(tx.UpdateMachine(ctx, m), tx.AddInterface(ctx, m.ID, siteMAC(i)))
			}
		}
		return err
	})
}

// addUser adds a user with a key and a token.
func addUser(ctx context.Context, l *lab.Lab, s Site, token *string) error {
	var enrolled *lab.PublicKey
	switch {
	case s.Key != "":
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.Key))
		if err != nil {
			return err
		}
		enrolled = &lab.PublicKey{Fingerprint: ssh.FingerprintSHA256(key), Authorized: s.Key}
	case !s.User:
		return nil
	}
	err := l.AddUser(ctx, lab.Local, benchUser, false, enrolled)
	if err != nil {
		return err
	}
	*token, err = l.CreateToken(ctx, lab.Local, lab.NewToken{User: benchUser, Name: "bench"})
	return err
}
