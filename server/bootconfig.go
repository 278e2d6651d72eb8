package server

import "fmt"

type bootConfigCommand struct {
	Name string `arg:"" complete:"machines" help:"Name of the machine."`
	JSON bool   `help:"As JSON."`
}

// jsonNextBoot is what a machine would boot as scripts see it. Its keys stay
// as they are.
type jsonNextBoot struct {
	Name          string `json:"name"`
	Netboot       bool   `json:"netboot"`
	Why           string `json:"why"`
	Bootloader    string `json:"bootloader"` // path over TFTP; empty: none
	URL           string `json:"url"`        // of the same
	Configuration string `json:"configuration"`
	Text          string `json:"text"` // of the configuration
}

// Run prints the configuration alone, so that it can be kept or checked. What
// is said about it goes to the notes.
func (c bootConfigCommand) Run(in *invocation) error {
	next, err := in.lab.WhatBoots(in.ctx, in.actor, c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		return in.print(true, jsonNextBoot{
			Name: next.Machine, Netboot: next.Netboot, Why: next.Why, Bootloader: next.Bootloader, URL: next.URL,
			Configuration: next.ConfigName, Text: string(next.Config),
		}, "")
	}
	in.note(fmt.Sprintf("%s: %s", next.Machine, next.Why))
	if next.Bootloader != "" {
		in.note("bootloader " + next.Bootloader + ", or " + next.URL)
	}
	in.note("configuration " + next.ConfigName)
	_, err = in.out.Write(next.Config)
	return err
}
