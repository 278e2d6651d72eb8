package sim

import (
	"html"
	"net/http"
	"path"
	"strings"
)

// call is an HTTP request that a preseed asks for by a wget or curl command.
type call struct {
	program       string // wget or curl
	method        string
	url           string
	body          string
	failsOnStatus bool // a status of 400 and above fails the command
	mayFail       bool // what stands behind || deals with a failure
}

// preseedCalls is how many HTTP requests of one preseed are made at most.
const preseedCalls = 16

// phoneHomeCalls finds the wget and curl commands in a preseed: in the lines
// that are no comments, wherever in them a command may stand, also in the quoted
// argument of a `sh -c`.
func phoneHomeCalls(preseed string, isXML bool) []call {
	if isXML {
		preseed = html.UnescapeString(preseed)
	}
	preseed = strings.ReplaceAll(preseed, "\r", "")
	preseed = strings.ReplaceAll(preseed, "\\\n", " ")
	var calls []call
	for line := range strings.Lines(preseed) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			calls = append(calls, lineCalls(line)...)
		}
		if len(calls) >= preseedCalls {
			return calls[:preseedCalls]
		}
	}
	return calls
}

func lineCalls(line string) []call {
	if !strings.Contains(line, "wget") && !strings.Contains(line, "curl") {
		return nil
	}
	var calls []call
	words := shellWords(line)
	for i, word := range words {
		if word.operator {
			continue
		}
		program := path.Base(word.text)
		if program != "wget" && program != "curl" {
			if len(word.text) < len(line)-1 && strings.ContainsAny(word.text, " \t") {
				calls = append(calls, lineCalls(word.text)...)
			}
			continue
		}
		end := i + 1
		for end < len(words) && !words[end].operator {
			end++
		}
		c := commandCall(program, words[i+1:end])
		for ; end < len(words) && words[end].text != ";" && words[end].text != "&&"; end++ {
			c.mayFail = c.mayFail || words[end].operator && words[end].text == "||"
		}
		if c.url != "" {
			calls = append(calls, c)
		}
	}
	return calls
}

// shortWithValue has, for each program, the one-letter options that take a value.
var shortWithValue = map[string]string{
	"curl": "XdoHmTAuFe",
	"wget": "OoTtUP",
}

// commandCall is what a wget or curl command with these arguments asks for; its
// url is empty when they name none.
func commandCall(program string, args []shellWord) call {
	c := call{program: program, failsOnStatus: program == "wget"}
	post := false
	for i := 0; i < len(args); i++ {
		flags, name, value, attached := option(args[i].text, shortWithValue[program])
		if program == "curl" && strings.Contains(flags, "f") || name == "--fail" {
			c.failsOnStatus = true
		}
		if !attached && i+1 < len(args) {
			value = args[i+1].text
		}
		takesValue := true
		switch name {
		case "-X", "--request", "--method":
			c.method = strings.ToUpper(value)
		case "-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode", "--post-data", "--body-data":
			c.body, post = value, true
		case "-F", "--form", "--json", "--post-file":
			post = true
		case "--url":
			c.url = value
		case "--header", "--output", "--output-document", "--max-time", "--timeout", "--tries", "--retry", "--user-agent", "--user":
		default:
			takesValue = len(name) == 2
			if strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") {
				c.url = name
			}
		}
		if takesValue && !attached {
			i++
		}
	}
	switch {
	case c.method != "":
	case post:
		c.method = http.MethodPost
	default:
		c.method = http.MethodGet
	}
	return c
}

// option splits an argument such as --data=x, -dx, -XPOST or -qO- into the flags
// before the option that takes a value, that option and its value. What is no
// option is all name; flags alone have none.
func option(arg, withValue string) (flags, name, value string, attached bool) {
	switch {
	case strings.HasPrefix(arg, "--"):
		name, value, attached = strings.Cut(arg, "=")
		return "", name, value, attached
	case !strings.HasPrefix(arg, "-") || arg == "-":
		return "", arg, "", false
	}
	at := strings.IndexAny(arg, withValue)
	if at < 0 {
		return arg[1:], "", "", false
	}
	return arg[1:at], "-" + arg[at:at+1], arg[at+1:], at+1 < len(arg)
}

// shellWord is a word of a shell command without its quotes, or an operator
// between commands.
type shellWord struct {
	text     string
	operator bool
}

// shellWords splits a line as a shell does, as far as quotes, backslashes and
// the operators between commands go. Nothing is expanded.
func shellWords(line string) []shellWord {
	var words []shellWord
	var word strings.Builder
	var quote byte
	started := false
	end := func() {
		if started {
			words = append(words, shellWord{text: word.String()})
			word.Reset()
			started = false
		}
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			started = true
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, started = c, true
		case c == ' ' || c == '\t' || c == '\n':
			end()
		case strings.IndexByte(";|&()<>", c) >= 0:
			end()
			operator := string(c)
			if i+1 < len(line) && line[i+1] == c {
				operator += operator
				i++
			}
			words = append(words, shellWord{operator, true})
		default:
			word.WriteByte(c)
			started = true
		}
	}
	end()
	return words
}
