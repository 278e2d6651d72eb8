// Package soak runs many consoles for a long time on BMCs that restart at
// random, with people who come and go, and then looks for what is left over:
// goroutines, sockets, memory, and bytes that a machine printed and no log has.
package soak
