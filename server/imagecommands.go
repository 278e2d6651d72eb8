package server

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

type imageCommand struct {
	List   imageListCommand   `cmd:"" default:"withargs" help:"The images that you may boot."`
	Show   imageShowCommand   `cmd:"" help:"All about an image, and what uses it."`
	Set    imageSetCommand    `cmd:"" help:"Change what is said of an image (its owner, admins)."`
	Rm     imageRmCommand     `cmd:"" help:"Remove an image that nothing uses (its owner, admins)."`
	Put    imagePutCommand    `cmd:"" help:"Keep what comes on standard input as an image: ssh HOST image put NAME --type kernel <FILE"`
	Import imageImportCommand `cmd:"" help:"Have the server fetch an image (admins). scp FILE HOST:images/kernel/amd64/ uploads one."`
}

// jsonImage is an image as scripts see it. Its keys stay as they are.
type jsonImage struct {
	Name        string        `json:"name"`
	Description string        `json:"description"`
	Type        string        `json:"type"` // kernel, initrd, bootloader
	Arch        string        `json:"arch"`
	Filename    string        `json:"filename"`
	Size        int64         `json:"size"` // in bytes
	SHA256      string        `json:"sha256"`
	Owner       string        `json:"owner"` // empty: nobody who still is
	KnownGood   bool          `json:"known_good"`
	Public      bool          `json:"public"`
	UploadedAt  time.Time     `json:"uploaded_at"`
	Use         *jsonImageUse `json:"use,omitempty"`
}

// jsonImageUse is what uses an image, by name.
type jsonImageUse struct {
	Running  []string `json:"running"`  // machines that are being installed with it
	Machines []string `json:"machines"` // machines that were last
	Subarchs []string `json:"subarchs"` // arch/firmware whose bootloader it is
}

func toJSONImage(i store.Image) jsonImage {
	return jsonImage{
		Name: i.Name, Description: i.Description, Type: string(i.Type), Arch: i.Arch, Filename: i.Filename, Size: i.Size,
		SHA256: i.SHA256, Owner: i.Owner, KnownGood: i.KnownGood, Public: i.Public, UploadedAt: i.UploadedAt,
	}
}

type imageListCommand struct {
	JSON bool `help:"As a JSON array."`
}

func (c imageListCommand) Run(in *invocation) error {
	images, err := in.lab.Images(in.ctx, in.actor)
	if err != nil {
		return err
	}
	if c.JSON {
		rows := make([]jsonImage, len(images))
		for i, image := range images {
			rows[i] = toJSONImage(image)
		}
		return in.print(true, rows, "")
	}
	table := in.table("NAME\tTYPE\tARCH\tSIZE\tOWNER\tDATE\tMARKS")
	for _, i := range images {
		table.row(i.Name, string(i.Type), i.Arch, strconv.FormatInt(i.Size, 10), i.Owner, i.UploadedAt.Format(time.DateOnly), imageMarks(i))
	}
	return table.Flush()
}

func imageMarks(i store.Image) string {
	var marks []string
	if i.KnownGood {
		marks = append(marks, "known good")
	}
	if !i.Public {
		marks = append(marks, "private")
	}
	return strings.Join(marks, ", ")
}

type imageShowCommand struct {
	Name string `arg:"" complete:"images" help:"Name of the image."`
	JSON bool   `help:"As JSON."`
}

func (c imageShowCommand) Run(in *invocation) error {
	image, err := in.lab.Image(in.ctx, in.actor, c.Name)
	if err != nil {
		return err
	}
	j := toJSONImage(image.Image)
	if c.JSON {
		j.Use = &jsonImageUse{
			Running: append([]string{}, image.Use.Running...), Machines: append([]string{}, image.Use.Machines...),
			Subarchs: append([]string{}, image.Use.Subarchs...),
		}
		return in.print(true, j, "")
	}
	table := in.table("")
	for _, row := range [][2]string{
		{"name", j.Name}, {"type", j.Type + " for " + j.Arch}, {"description", j.Description}, {"file name", j.Filename},
		{"size", fmt.Sprintf("%d bytes", j.Size)}, {"SHA-256", j.SHA256},
		{"uploaded", fmt.Sprintf("%s by %s", j.UploadedAt.Format(time.DateTime+" MST"), orDash(j.Owner))}, {"marks", imageMarks(image.Image)},
		{"installing now", strings.Join(image.Use.Running, ", ")}, {"last installed on", strings.Join(image.Use.Machines, ", ")},
		{"bootloader of", strings.Join(image.Use.Subarchs, ", ")},
	} {
		table.row(row[0], row[1])
	}
	return table.Flush()
}

type imageSetCommand struct {
	Name        string  `arg:"" complete:"images" help:"Name of the image."`
	Rename      *string `help:"Another name."`
	Filename    *string `help:"The last element of its path, as machines see it."`
	Description *string `help:"What people should know of it."`
	Type        *string `help:"kernel or initrd, while nothing uses it."`
	Arch        *string `help:"Architecture, while nothing uses it."`
	KnownGood   *bool   `negatable:"" help:"It has booted well."`
	Public      *bool   `negatable:"" help:"Everybody may boot it."`
	JSON        bool    `help:"As JSON."`
}

func (c imageSetCommand) Run(in *invocation) error {
	change := lab.ImageChange{
		Name: c.Rename, Filename: c.Filename, Description: c.Description, Type: (*store.ImageType)(c.Type), Arch: c.Arch,
		KnownGood: c.KnownGood, Public: c.Public,
	}
	if change == (lab.ImageChange{}) {
		return &lab.Error{Code: lab.Invalid, Message: "say what is to be different: image set --help lists it"}
	}
	if err := in.lab.ChangeImage(in.ctx, in.actor, c.Name, change); err != nil {
		return err
	}
	if c.Rename != nil {
		c.Name = *c.Rename
	}
	return in.printImage(c.JSON, c.Name, c.Name+" is changed")
}

func (in *invocation) printImage(asJSON bool, name, sentence string) error {
	if !asJSON {
		return in.print(false, nil, sentence)
	}
	image, err := in.lab.Image(in.ctx, in.actor, name)
	if err != nil {
		return err
	}
	return in.print(true, toJSONImage(image.Image), "")
}

type imageRmCommand struct {
	Names  []string `arg:"" name:"name" complete:"images" help:"Names of images."`
	Forget bool     `help:"Have machines forget that they were last installed with them (admins)."`
	JSON   bool     `help:"Those that were removed, as a JSON array of names."`
}

func (c imageRmCommand) Run(in *invocation) (err error) {
	removed := []string{}
	for _, name := range c.Names {
		oneErr := in.lab.RemoveImage(in.ctx, in.actor, name, c.Forget)
		err = errors.Join(err, oneErr)
		if oneErr == nil {
			removed = append(removed, name)
		}
	}
	if !c.JSON && len(removed) == 0 {
		return err
	}
	return errors.Join(err, in.print(c.JSON, removed, strings.Join(removed, ", ")+" removed"))
}

type imagePutCommand struct {
	Name        string `arg:"" help:"Name of the image."`
	Type        string `required:"" enum:"kernel,initrd,bootloader" help:"kernel, initrd or bootloader."`
	Arch        string `default:"amd64" help:"Architecture, such as amd64 or arm64."`
	Firmware    string `default:"uefi" help:"Of a bootloader: for which machines, uefi or bios."`
	Filename    string `help:"The last element of its path, as machines see it. Left out: its name."`
	SHA256      string `name:"sha256" help:"Which it must have."`
	Description string `help:"What people should know of it."`
	KnownGood   bool   `help:"It has booted well."`
	Public      bool   `help:"Everybody may boot it."`
	JSON        bool   `help:"As JSON."`
}

func (c imagePutCommand) Run(in *invocation) error {
	if in.terminal != nil {
		return &lab.Error{Code: lab.Invalid, Message: "send the image on standard input: ssh HOST image put " + printable(c.Name) + " <FILE"}
	}
	image := lab.NewImage{
		Name: c.Name, Description: c.Description, Type: store.ImageType(c.Type), Arch: c.Arch, Subarch: c.Firmware,
		Filename: cmp.Or(c.Filename, c.Name), SHA256: c.SHA256, KnownGood: c.KnownGood, Public: c.Public,
	}
	upload, err := in.lab.BeginImage(in.ctx, in.actor, image)
	if err != nil {
		return err
	}
	defer upload.Discard()
	switch n, err := io.Copy(upload, in.input()); {
	case errors.Is(err, errTorn), in.ctx.Err() != nil:
		return &lab.Error{Code: lab.Unavailable, Message: fmt.Sprintf("add image %s: %v", c.Name, errTorn), Err: errTorn}
	case err != nil:
		return err
	case n == 0:
		return &lab.Error{Code: lab.Invalid, Message: "add image " + c.Name + ": nothing came on standard input"}
	}
	if err := upload.Commit(in.ctx); err != nil {
		return err
	}
	return in.printImage(c.JSON, c.Name, c.Name+" is kept")
}

type imageImportCommand struct {
	Name        string `arg:"" complete:"images" help:"Name of the image."`
	URL         string `arg:"" help:"http:// or https://."`
	Type        string `required:"" enum:"kernel,initrd,bootloader" help:"kernel, initrd or bootloader."`
	Arch        string `default:"amd64" help:"Architecture, such as amd64 or arm64."`
	Firmware    string `default:"uefi" help:"Of a bootloader: for which machines, uefi or bios."`
	Filename    string `help:"The last element of its path, as machines see it. Left out: that of the URL."`
	SHA256      string `name:"sha256" help:"Which it must have."`
	Description string `help:"What people should know of it."`
	Private     bool   `help:"Only you and admins may boot it."`
	JSON        bool   `help:"As JSON."`
}

func (c imageImportCommand) Run(in *invocation) error {
	image := lab.NewImage{
		Name: c.Name, Description: c.Description, Type: store.ImageType(c.Type), Arch: c.Arch, Subarch: c.Firmware,
		Filename: lab.ImportFilename(c.Filename, c.URL), SHA256: c.SHA256, Public: !c.Private,
	}
	if err := in.lab.ImportImage(in.ctx, in.actor, image, c.URL); err != nil {
		return err
	}
	return in.printImage(c.JSON, c.Name, c.Name+" is imported")
}
