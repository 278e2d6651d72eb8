package sim

import (
	"errors"
	"slices"
	"strings"
)

// parseGRUB reads a GRUB configuration: simple commands, blocks as
// menuentry has them, if, for. It takes and refuses what GRUB 2.06's own parser does (quotes,
// escapes, variables, and the characters that must be quoted), other loops,
// functions and select aside, which it refuses too. Wildcards stay what they are.
func parseGRUB(script string) ([]grubCommand, error) {
	p := grubParser{src: strings.ReplaceAll(script, "\r", "")}
	p.advance()
	p.blankLines()
	if p.err != nil || p.is(grubEOF) {
		return nil, p.err
	}
	cmds := p.commands()
	if p.err == nil && !p.is(grubEOF) {
		p.fail()
	}
	if p.err != nil {
		return nil, p.err
	}
	return cmds, nil
}

var errGRUBSyntax = errors.New("syntax error")

// grubCommand is a simple command with its arguments, the block behind them if
// it has one, an if, or a for.
type grubCommand struct {
	words []grubWord // of a for: its variable, and what it runs over
	block []grubCommand
	cases []grubCase // of an if
	loop  bool       // a for, over block
}

// grubCase is a branch of an if; the else branch has no condition.
type grubCase struct {
	condition []grubCommand
	body      []grubCommand
}

// grubWord is an argument before expansion.
type grubWord []grubPart

type grubPart struct {
	text     string // the variable's name if variable
	variable bool
	quoted   bool
}

// grubKind is what a token is: the character itself where it is one.
type grubKind byte

const (
	grubEOF       grubKind = 0
	grubArg       grubKind = 'w'
	grubNewline   grubKind = '\n'
	grubSemicolon grubKind = ';'
	grubOpen      grubKind = '{'
	grubClose     grubKind = '}'
)

type grubToken struct {
	kind grubKind
	raw  string // as written, which tells a keyword from a quoted word
	word grubWord
}

// grubNesting is how deep blocks may lie in each other.
const grubNesting = 64

type grubParser struct {
	src   string
	pos   int
	tok   grubToken
	depth int
	err   error // the first; no progress after it
}

func (p *grubParser) fail() {
	if p.err == nil {
		p.err = errGRUBSyntax
	}
	p.tok = grubToken{kind: grubEOF}
	p.pos = len(p.src)
}

func (p *grubParser) is(kind grubKind) bool { return p.tok.kind == kind }

func (p *grubParser) isWord(raw string) bool { return p.is(grubArg) && p.tok.raw == raw }

func (p *grubParser) blankLines() {
	for p.is(grubNewline) {
		p.advance()
	}
}

// advance goes to the next token.
func (p *grubParser) advance() {
	if err := p.next(); err != nil {
		p.fail()
	}
}

// commands reads one command or more, up to what cannot begin one.
func (p *grubParser) commands() []grubCommand {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > grubNesting {
		p.fail()
		return nil
	}
	var cmds []grubCommand
	p.blankLines()
	for {
		if !p.is(grubArg) || p.endsCommands() {
			if len(cmds) == 0 {
				p.fail()
			}
			return cmds
		}
		cmds = append(cmds, p.command())
		if !p.is(grubNewline) && !p.is(grubSemicolon) {
			return cmds
		}
		p.advance()
		p.blankLines()
	}
}

func (p *grubParser) endsCommands() bool {
	switch p.tok.raw {
	case "then", "elif", "else", "fi", "do", "done":
		return true
	}
	return false
}

func (p *grubParser) command() grubCommand {
	switch p.tok.raw {
	case "if":
		return p.ifCommand()
	case "for":
		return p.forCommand()
	case "while", "until", "function", "select", "case", "do", "done", "esac", "in":
		p.fail()
		return grubCommand{}
	}
	var cmd grubCommand
	for p.is(grubArg) {
		if p.tok.raw == "[[" || p.tok.raw == "]]" {
			p.fail()
			return cmd
		}
		cmd.words = append(cmd.words, p.tok.word)
		p.advance()
	}
	if p.is(grubOpen) {
		p.advance()
		cmd.block = p.commands()
		if !p.is(grubClose) {
			p.fail()
			return cmd
		}
		p.advance()
	}
	return cmd
}

func (p *grubParser) ifCommand() grubCommand {
	var cmd grubCommand
	for p.isWord("if") || p.isWord("elif") {
		p.advance()
		var c grubCase
		c.condition = p.commands()
		if !p.isWord("then") {
			p.fail()
			return cmd
		}
		p.advance()
		c.body = p.commands()
		cmd.cases = append(cmd.cases, c)
		if p.isWord("if") {
			p.fail()
		}
	}
	if p.isWord("else") {
		p.advance()
		cmd.cases = append(cmd.cases, grubCase{body: p.commands()})
	}
	if !p.isWord("fi") {
		p.fail()
		return cmd
	}
	p.advance()
	return cmd
}

// forCommand reads for NAME in WORD...; do COMMAND...; done.
func (p *grubParser) forCommand() (cmd grubCommand) {
	p.advance()
	cmd.loop = true
	for p.is(grubArg) {
		if len(cmd.words) == 1 && !p.isWord("in") {
			break
		}
		cmd.words = append(cmd.words, p.tok.word)
		p.advance()
	}
	if len(cmd.words) < 2 || !p.is(grubNewline) && !p.is(grubSemicolon) {
		p.fail()
		return cmd
	}
	cmd.words = slices.Delete(cmd.words, 1, 2) // in
	p.advance()
	p.blankLines()
	if !p.isWord("do") {
		p.fail()
		return cmd
	}
	p.advance()
	cmd.block = p.commands()
	if !p.isWord("done") {
		p.fail()
		return cmd
	}
	p.advance()
	return cmd
}

// next reads a token.
func (p *grubParser) next() error {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; c {
		case ' ', '\t':
			p.pos++
		case '#':
			eol := strings.IndexByte(p.src[p.pos:], '\n')
			if eol < 0 {
				eol = len(p.src) - p.pos
			}
			p.pos += eol
		case '\n', ';', '{', '}':
			p.pos++
			p.tok = grubToken{kind: grubKind(c)}
			return nil
		default:
			return p.word()
		}
	}
	p.tok = grubToken{kind: grubEOF}
	return nil
}

// word reads an argument: any run of plain characters, escapes, quotes and variables.
func (p *grubParser) word() error {
	start := p.pos
	word := grubWord{}
	for p.pos < len(p.src) && !strings.ContainsRune(" \t\n;{}", rune(p.src[p.pos])) {
		var part grubPart
		var err error
		switch c := p.src[p.pos]; c {
		case '|', '&', '<', '>':
			return errGRUBSyntax
		case '\'':
			end := strings.IndexByte(p.src[p.pos+1:], '\'')
			if end < 0 {
				return errGRUBSyntax
			}
			part = grubPart{text: p.src[p.pos+1 : p.pos+1+end], quoted: true}
			p.pos += end + 2
		case '"':
			err = p.doubleQuotes(&word)
		case '\\':
			if escaped := p.src[p.pos+1:]; escaped == "" || escaped == "\n" {
				return errGRUBSyntax // a next line must follow
			}
			part = grubPart{text: p.src[p.pos+1 : p.pos+2], quoted: true}
			if part.text == "\n" {
				part = grubPart{} // the line goes on
			}
			p.pos += 2
		case '$':
			if strings.HasPrefix(p.src[p.pos:], `$"`) {
				p.pos++
				err = p.doubleQuotes(&word)
				break
			}
			part, err = p.variable(false)
		default:
			end := strings.IndexAny(p.src[p.pos:], " \t\n;{}|&<>'\"\\$")
			if end < 0 {
				end = len(p.src) - p.pos
			}
			part = grubPart{text: p.src[p.pos : p.pos+end]}
			p.pos += end
		}
		if err != nil {
			return err
		}
		word = append(word, part)
	}
	p.tok = grubToken{kind: grubArg, raw: p.src[start:p.pos], word: word}
	return nil
}

// doubleQuotes reads from one double quote to the next. A backslash escapes
// only $, ", \ and the end of a line; a lone $ is an error.
func (p *grubParser) doubleQuotes(word *grubWord) error {
	p.pos++
	var text strings.Builder
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		switch {
		case c == '"':
			p.pos++
			*word = append(*word, grubPart{text: text.String(), quoted: true})
			return nil
		case c == '\\' && p.pos+1 < len(p.src):
			switch e := p.src[p.pos+1]; e {
			case '$', '"', '\\':
				text.WriteByte(e)
			case '\n':
			default:
				text.WriteByte(c)
				text.WriteByte(e)
			}
			p.pos += 2
		case c == '$':
			variable, err := p.variable(true)
			if err != nil {
				return err
			}
			*word = append(*word, grubPart{text: text.String(), quoted: true}, variable)
			text.Reset()
		default:
			text.WriteByte(c)
			p.pos++
		}
	}
	return errGRUBSyntax
}

// variable reads $name, ${name}, $1 or one of the special ones.
func (p *grubParser) variable(quoted bool) (grubPart, error) {
	rest := p.src[p.pos+1:]
	braced := strings.HasPrefix(rest, "{")
	if braced {
		rest = rest[1:]
	}
	n := variableName(rest)
	if n == 0 || braced && !strings.HasPrefix(rest[n:], "}") {
		return grubPart{}, errGRUBSyntax
	}
	p.pos += 1 + n
	if braced {
		p.pos += 2
	}
	return grubPart{text: rest[:n], variable: true, quoted: quoted}, nil
}

// variableName is the length of the variable's name at the start of s: an
// identifier, digits, or one of ?#*@.
func variableName(s string) int {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	letter := func(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
	n := 0
	switch {
	case s == "":
	case strings.IndexByte("?#*@", s[0]) >= 0:
		n = 1
	case digit(s[0]):
		for n < len(s) && digit(s[n]) {
			n++
		}
	case letter(s[0]):
		for n < len(s) && (digit(s[n]) || letter(s[n])) {
			n++
		}
	}
	return n
}
