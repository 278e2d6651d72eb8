package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

// Imported says how an import went.
type Imported struct {
	Took   time.Duration
	Waited time.Duration // the longest that another write took meanwhile
}

// Import imports machines, half of which somebody then holds.
func (r *site) Import(machines int, done *Imported) error {
	ctx := context.Background()
	type machine struct {
		Name     string   `json:"name"`
		Arch     string   `json:"arch"`
		Firmware string   `json:"firmware"`
		MACs     []string `json:"macs"`
	}
	file := make([]machine, machines)
	for i := range file {
		file[i] = machine{fmt.Sprintf("node-%05d", i), []string{"amd64", "arm64"}[i%2], "uefi", []string{siteMAC(i)}}
	}
	content, err := json.Marshal(file)
	if err != nil {
		return err
	}
	over := make(chan time.Duration, 1)
	stop := make(chan struct{})
	go func() { // ends with stop
		var longest time.Duration
		for {
			took, _ := timed(func() error { return r.db.Write(ctx, func(*store.Tx) error { return nil }) })
			longest = max(longest, took)
			select {
			case <-stop:
				over <- longest
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	done.Took, err = timed(func() error {
		_, err := r.lab.ImportMachines(ctx, lab.Local, lab.FormatJSON, content, false)
		return err
	})
	close(stop)
	done.Waited = <-over
	for i := 0; i < machines && err == nil; i += 2 {
		err = r.lab.Assign(ctx, lab.Local, file[i].Name, benchUser, "bench")
	}
	return err
}

// Rush is how much happens in a site.
type Rush struct {
	Rate    int // events a second
	Seconds int
}

// rushEvery is how often some of the events of a rush happen, together.
const rushEvery = 20 * time.Millisecond

// lastOfRush is in the last event of a rush.
const lastOfRush = "nothing more happens"

// Happen has events happen: they are kept as any others, in transactions of
// some, and told by the lab. It says how many there were.
func (r *site) Happen(rush Rush, happened *int) error {
	ctx := context.Background()
	if err := r.lab.AddMachine(ctx, lab.Local, lab.NewMachine{Name: "busy", Arch: "amd64", Subarch: "uefi"}); err != nil {
		return err
	}
	if err := r.lab.Assign(ctx, lab.Local, "busy", benchUser, ""); err != nil {
		return err
	}
	all := rush.Rate * rush.Seconds
	tick := time.NewTicker(rushEvery)
	defer tick.Stop()
	for began := time.Now(); *happened < all; <-tick.C {
		due := min(int(time.Since(began).Seconds()*float64(rush.Rate)), all) - *happened
		if due == 0 {
			continue
		}
		*happened += due
		err := r.db.Write(ctx, func(tx *store.Tx) error {
			for range due - 1 {
				e := store.Event{At: time.Now(), Kind: lab.EventBootConfig, Machine: "busy", Detail: "grub.cfg-52-54-00-02-00-01 for linux"}
				if err := tx.AddEvent(ctx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		// By a call of the lab, which tells of the others, too.
		reason := fmt.Sprint(*happened)
		if *happened == all {
			reason = lastOfRush
		}
		if err := r.lab.SetReason(ctx, lab.Local, "busy", benchUser, reason); err != nil {
			return err
		}
	}
	*happened += 2 // what there was to do before
	return nil
}
