// Package e2e tests the built product against parts that nobody here wrote: OpenIPMI's ipmi_sim is the BMC, QEMU the
// machine, SeaBIOS, EDK II and iPXE are its firmware, dnsmasq and Kea the DHCP servers, and OpenSSH in tmux is the person.
// Bootloaders, kernels and installer are Debian's; a busybox initrd does what an installer does. Each part is a small type
// in a file of its own.
//
// UEFI with GRUB behind dnsmasq (TestProvision) and BIOS with PXELINUX behind Kea (TestPXELINUXBehindKea) are part of every
// test run. Everything else a machine can boot by has the build tag matrix, which make e2e sets; what goes the usual way is a
// [netbootCase]: from the dashboard to the installer's phone-home, and from there to the disk.
//
// All of it runs in network and process namespaces that the kernel removes with the test, however that ends.
package e2e
