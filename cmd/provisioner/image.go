package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

type imageCommand struct {
	Add    imageAddCommand    `cmd:"" help:"Add a file of this host as an image that everybody may boot."`
	Import imageImportCommand `cmd:"" help:"Fetch an image that everybody may boot."`
	List   imageListCommand   `cmd:"" help:"All images."`
	Remove imageRemoveCommand `cmd:"" help:"Remove an image that nothing uses."`
}

// newImage is what is said of an image that is added or imported.
type newImage struct {
	Type        string `required:"" enum:"kernel,initrd,bootloader" help:"kernel, initrd or bootloader."`
	Arch        string `default:"amd64" help:"Architecture, such as amd64 or arm64."`
	Firmware    string `default:"uefi" help:"Of a bootloader: for which machines, uefi or bios."`
	Filename    string `help:"The last element of its path, as machines see it. Left out: that of the file."`
	SHA256      string `name:"sha256" help:"Which it must have."`
	Description string `help:"What people should know of it."`
	KnownGood   bool   `help:"It has booted well."`
}

func (n newImage) image(name string) lab.NewImage {
	return lab.NewImage{
		Name: name, Description: n.Description, Type: store.ImageType(n.Type), Arch: n.Arch, Subarch: n.Firmware,
		Filename: n.Filename, SHA256: n.SHA256, KnownGood: n.KnownGood, Public: true,
	}
}

type imageAddCommand struct {
	data
	newImage
	Name string `arg:""`
	File string `arg:"" help:"The image. A dash: standard input." type:"path"`
}

func (c *imageAddCommand) Run(ctx context.Context) (err error) {
	file := os.Stdin
	if c.File != "-" {
		if file, err = os.Open(c.File); err != nil {
			return fmt.Errorf("add image: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	image := c.image(c.Name)
	if image.Filename == "" {
		image.Filename = filepath.Base(c.File)
	}
	return c.local(ctx, func(l *lab.Lab) error { return l.AddImage(ctx, lab.Local, image, file) })
}

type imageImportCommand struct {
	data
	newImage
	Name string `arg:""`
	URL  string `arg:"" help:"http:// or https://."`
}

func (c *imageImportCommand) Run(ctx context.Context) error {
	image := c.image(c.Name)
	image.Filename = lab.ImportFilename(c.Filename, c.URL)
	return c.local(ctx, func(l *lab.Lab) error { return l.ImportImage(ctx, lab.Local, image, c.URL) })
}

type imageListCommand struct {
	data
}

func (c *imageListCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error {
		images, err := l.Images(ctx, lab.Local)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "NAME\tTYPE\tARCH\tSIZE\tDATE\tSHA-256")
		for _, i := range images {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", i.Name, i.Type, i.Arch, i.Size, i.UploadedAt.Format(time.DateOnly), i.SHA256)
		}
		return table.Flush()
	})
}

type imageRemoveCommand struct {
	data
	Name   string `arg:""`
	Forget bool   `help:"Have machines forget that they were last installed with it."`
}

func (c *imageRemoveCommand) Run(ctx context.Context) error {
	return c.local(ctx, func(l *lab.Lab) error { return l.RemoveImage(ctx, lab.Local, c.Name, c.Forget) })
}
