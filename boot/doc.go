// Package boot is what a machine gets from the network: answers for its DHCP
// server, files over TFTP, the bootloader configuration that starts a kernel,
// and the preseed that answers an installer's questions.
//
// It knows the protocols and the formats, not the machines. Its listeners are
// given functions from a request to an answer, and its renderings are given
// all that they show.
package boot
