// Package pattern finds out from what a machine prints on its console what has
// become of it: that its kernel panicked, that an installation failed, that it
// asks for a login, or whatever else a site looks for.
//
// A [Set] holds the patterns, is compiled once and serves all consoles. A
// [Scanner] reads one console. Patterns see lines as a person does, without
// control sequences; a line that is not finished, such as a prompt, is looked at
// each time something was added to it.
package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	maxExpression = 1 << 10 // bytes
	maxSteps      = 2000    // of a compiled expression: what a byte may cost at most

	// MaxPatterns is how many patterns of its own a site can have.
	MaxPatterns = 100

	// quietSite is how long a site's own pattern has to be absent before it is reported again.
	quietSite = time.Minute
)

// Pattern is what a site looks for.
type Pattern struct {
	Name       string // unique without regard to case
	Expression string // RE2
}

var patternName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._+-]{0,62}[A-Za-z0-9])?$`)

// Check says what is wrong with a pattern, in a sentence for people: its name,
// which must be none that is built in, or its expression, which has up to 1 KiB
// of RE2 and must not match an empty line.
func (p Pattern) Check() error {
	if !patternName.MatchString(p.Name) {
		return errors.New("a name has up to 64 letters, digits, spaces and `._+-`, the first and the last a letter or a digit")
	}
	if slices.ContainsFunc(BuiltIn(), func(b Description) bool { return strings.EqualFold(b.Name, p.Name) }) {
		return errors.New("this name is of a pattern that is built in")
	}
	_, err := p.compile()
	return err
}

func (p Pattern) compile() (*regexp.Regexp, error) {
	switch {
	case p.Expression == "":
		return nil, errors.New("the expression is empty")
	case len(p.Expression) > maxExpression:
		return nil, fmt.Errorf("the expression has %d bytes, and %d are possible", len(p.Expression), maxExpression)
	}
	tree, err := syntax.Parse(p.Expression, syntax.Perl)
	var bad *syntax.Error
	if errors.As(err, &bad) {
		return nil, explain(p.Expression, bad)
	}
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if n := len(program.Inst); n > maxSteps {
		return nil, fmt.Errorf("the expression compiles to %d steps, and %d are possible: use smaller repetitions", n, maxSteps)
	}
	re, err := regexp.Compile(p.Expression)
	if err != nil {
		return nil, err
	}
	if re.MatchString("") {
		return nil, errors.New("the expression matches the empty line, and so every line: name something that must be there")
	}
	return re, nil
}

// explain says where in an expression the mistake is. The parser tells only
// the piece that it could not read.
func explain(expression string, bad *syntax.Error) error {
	at := strings.LastIndex(expression, bad.Expr)
	if bad.Expr == "" || bad.Expr == expression || at < 0 {
		return fmt.Errorf("the expression: %s", bad.Code)
	}
	return fmt.Errorf("the expression: %s at character %d: `%s`", bad.Code, utf8.RuneCountInString(expression[:at])+1, bad.Expr)
}

// rule is one expression of a pattern, ready for use.
type rule struct {
	name       string
	re         *regexp.Regexp
	except     *regexp.Regexp // lines that match it, too, are none; nil: all are
	literals   []string       // one of them is in every line that matches, in lower case; none: not known
	unfinished bool           // lines that are not finished are looked at, too
	prompt     bool           // it may come again as soon as something else was reported
	boot       bool           // the machine starts again: everything may come again. Never reported
	quiet      time.Duration  // how long it has to be absent before it is reported again
}

// Set is the patterns that are built in and those of a site. It is immutable,
// and safe for concurrent use.
type Set struct {
	rules  []rule
	finder finder
	lines  sync.Pool // of *[]byte with room for maxLine: lines that are being put together
}

// New compiles a set. It fails where [Pattern.Check] fails, or where there are
// more than [MaxPatterns].
func New(site []Pattern) (*Set, error) {
	if len(site) > MaxPatterns {
		return nil, fmt.Errorf("there are %d patterns, and %d are possible", len(site), MaxPatterns)
	}
	s := &Set{rules: builtInRules()}
	for _, p := range site {
		if err := p.Check(); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p.Name, err)
		}
		re, err := p.compile()
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p.Name, err)
		}
		s.rules = append(s.rules, rule{name: p.Name, re: re, unfinished: true, quiet: quietSite})
	}
	for i := range s.rules {
		r := &s.rules[i]
		r.literals = requiredLiterals(r.re.String())
		s.finder.add(i, r.literals)
	}
	s.lines.New = func() any {
		line := make([]byte, 0, maxLine)
		return &line
	}
	return s, nil
}

// matching returns which rules match a line, at most one of each name, and where.
func (s *Set) matching(line []byte, finished bool) (found []located) {
	candidates := s.finder.candidates(line)
	for i := range candidates.all() {
		r := &s.rules[i]
		if !finished && !r.unfinished || slices.ContainsFunc(found, func(l located) bool { return l.rule.name == r.name }) {
			continue
		}
		if at := r.re.FindIndex(line); at != nil && (r.except == nil || !r.except.Match(line)) {
			found = append(found, located{r, at[0], at[1]})
		}
	}
	return found
}

// located is a rule, and where in a line it matches.
type located struct {
	rule       *rule
	start, end int
}
