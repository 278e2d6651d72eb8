package main

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"time"

	"provisioner/demo"
	"provisioner/lab"
	"provisioner/server"
	"provisioner/sim"
)

type demoCommand struct {
	listen
	Data     string        `default:"demo-data" help:"Folder of the database, images and the ssh host key." type:"path"`
	Machines int           `default:"12" help:"How many machines are simulated."`
	Pace     time.Duration `default:"150ms" help:"Time between two lines that a machine prints."`
}

func (c *demoCommand) Run(ctx context.Context) error {
	// The machines outlive the server by a moment: they are the world, and it
	// says goodbye to their BMCs.
	world, endWorld := context.WithCancel(context.WithoutCancel(ctx))
	defer endWorld()
	if c.PublicURL == nil {
		_, port, err := net.SplitHostPort(c.HTTPAddr)
		if err != nil {
			return err
		}
		c.PublicURL = &url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", port), Path: "/"}
	}
	var machines *sim.Lab
	err := serve(ctx, c.listen, dhcpFlags{}, c.Data, func(ctx context.Context, l *lab.Lab, s *server.Server) (err error) {
		tftpPort, err := strconv.Atoi(port(s.TFTPAddr()))
		if err != nil {
			return err
		}
		machines, err = sim.StartLab(world, sim.LabConfig{
			Machines: c.Machines, Installed: c.Machines / 3, Dead: []int{demo.Dead},
			BMCUsername: demo.BMCUsername, BMCPassword: demo.BMCPassword, Pace: c.Pace,
			Network: sim.Network{
				DHCPHook: c.PublicURL.JoinPath("dhcp").String(), TFTPPort: tftpPort,
			},
		})
		if err != nil {
			return err
		}
		return demo.Fill(ctx, l, machines.Machines())
	})
	endWorld()
	if machines != nil {
		err = errors.Join(err, machines.Wait())
	}
	return err
}
