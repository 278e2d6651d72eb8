package boot

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxKernelOptions bounds a user's kernel options, in bytes.
	MaxKernelOptions = 1024

	// maxCommandLine bounds the whole kernel command line, in bytes:
	// COMMAND_LINE_SIZE of x86 and arm64, less the final NUL.
	maxCommandLine = 2047
)

// CheckKernelOptions tells why s cannot be kernel options: more than 1024
// bytes, a control character (a new line would start another line of the
// bootloader's configuration), bytes that are not UTF-8, or a double quote that
// is never closed. Everything else is fine, and reaches the kernel as it is but
// for GRUB's habit to put a backslash before ' and \.
func CheckKernelOptions(s string) error {
	if len(s) > MaxKernelOptions {
		return fmt.Errorf("kernel options of %d bytes: at most %d are possible", len(s), MaxKernelOptions)
	}
	_, err := splitKernelOptions(s)
	return err
}

// splitKernelOptions splits s into words as the kernel's next_arg does: at
// spaces outside double quotes. The quotes stay.
func splitKernelOptions(s string) ([]string, error) {
	if !utf8.ValidString(s) {
		return nil, errors.New("kernel options are not UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return nil, fmt.Errorf("kernel options contain the control character %U", r)
		}
	}
	var words []string
	quoted, start := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ' ' && !quoted:
			words = append(words, s[start:i])
			start = i + 1
		}
	}
	if quoted {
		return nil, errors.New(`kernel options have a " that is never closed`)
	}
	words = append(words, s[start:])
	return dropEmpty(words), nil
}

func dropEmpty(words []string) []string {
	kept := words[:0]
	for _, word := range words {
		if strings.Trim(word, `"`) != "" {
			kept = append(kept, word)
		}
	}
	return kept
}
