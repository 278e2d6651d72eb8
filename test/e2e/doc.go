// Package e2e tests the built product against parts that nobody here wrote: OpenIPMI's ipmi_sim is the BMC, QEMU with
// UEFI firmware the machine, dnsmasq the DHCP server, Debian's GRUB the bootloader, Debian's kernel with a busybox
// initrd the image, and OpenSSH in tmux the person. Each part is a small type in a file of its own.
//
// All of it runs in network and process namespaces that the kernel removes with the test, however that ends.
package e2e
