package pattern

import (
	"iter"
	"math/bits"
	"regexp/syntax"
	"strings"
)

// Almost no line matches anything, and running a hundred regular expressions on
// each would cost more than everything else that is done with it. Most
// expressions have a text without which no line can match; one pass over a line
// finds which of them are in it.

// minLiteral is the length from which a text is rare enough to be worth looking for.
const minLiteral = 3

// requiredLiterals returns texts in lower case of which at least one is in every
// line that the expression matches, read without regard to case. None: no such
// texts are known.
func requiredLiterals(expression string) []string {
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil // who compiles it will say why
	}
	return literalsOf(tree.Simplify())
}

func literalsOf(tree *syntax.Regexp) []string {
	switch tree.Op {
	case syntax.OpLiteral:
		if text := asciiPart(tree.Rune, tree.Flags&syntax.FoldCase != 0); len(text) >= minLiteral {
			return []string{text}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return literalsOf(tree.Sub[0])
	case syntax.OpRepeat:
		if tree.Min > 0 {
			return literalsOf(tree.Sub[0])
		}
	case syntax.OpConcat:
		var best []string
		for _, sub := range tree.Sub {
			if texts := literalsOf(sub); shortest(texts) > shortest(best) {
				best = texts
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range tree.Sub {
			texts := literalsOf(sub)
			if texts == nil {
				return nil
			}
			all = append(all, texts...)
		}
		return all
	}
	return nil
}

func shortest(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	n := len(texts[0])
	for _, t := range texts {
		n = min(n, len(t))
	}
	return n
}

// asciiPart returns the longest run of ASCII of a literal. Without regard to
// case, k and s are left out: they match K (Kelvin) and ſ, too.
func asciiPart(literal []rune, fold bool) string {
	usable := func(r rune) bool {
		return r < 0x80 && (!fold || !strings.ContainsRune("kKsS", r))
	}
	best := ""
	for start := 0; start < len(literal); start++ {
		end := start
		for end < len(literal) && usable(literal[end]) {
			end++
		}
		if end-start > len(best) {
			best = string(literal[start:end])
		}
		start = end
	}
	return strings.ToLower(best)
}

// ruleSet is a set of indices of rules.
type ruleSet [(maxRules + 63) / 64]uint64

// maxRules leaves room for those that are built in.
const maxRules = MaxPatterns + 156

func (s *ruleSet) add(i int) { s[i/64] |= 1 << (i % 64) }

// all returns the indices in their order.
func (s *ruleSet) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for w, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(w*64 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// finder finds which rules a line may match.
type finder struct {
	always ruleSet              // rules without literals
	pairs  [1 << 16 / 64]uint64 // which pairs of bytes a literal is looked for by
	texts  map[uint16][]literal
}

type literal struct {
	text string // in lower case
	at   int    // where in it the pair is
	rule int
}

func (f *finder) add(rule int, literals []string) {
	if literals == nil {
		f.always.add(rule)
		return
	}
	if f.texts == nil {
		f.texts = make(map[uint16][]literal)
	}
	for _, text := range literals {
		at := rarestPair(text)
		key := uint16(text[at])<<8 | uint16(text[at+1])
		f.pairs[key/64] |= 1 << (key % 64)
		f.texts[key] = append(f.texts[key], literal{text, at, rule})
	}
}

// rarestPair returns where in a text the two bytes are that are likely to be the
// rarest in a console's output.
func rarestPair(text string) (at int) {
	best := 0
	for i := range len(text) - 1 {
		if rarity := rarityOf(text[i]) * rarityOf(text[i+1]); rarity > best {
			at, best = i, rarity
		}
	}
	return at
}

// rarityOf is small for what is frequent in English and in log lines.
func rarityOf(b byte) int {
	const frequent = " etaoinsr0dl1cu2mhp.f:"
	if i := strings.IndexByte(frequent, b); i >= 0 {
		return 1 + i
	}
	return len(frequent) + 1
}

// candidates returns the rules that a line may match.
func (f *finder) candidates(line []byte) ruleSet {
	found := f.always
	var previous byte
	for i, b := range line {
		b = lower[b]
		key := uint16(previous)<<8 | uint16(b)
		previous = b
		if f.pairs[key/64]&(1<<(key%64)) == 0 {
			continue
		}
		for _, l := range f.texts[key] {
			if start := i - 1 - l.at; hasTextAt(line, start, l.text) {
				found.add(l.rule)
			}
		}
	}
	return found
}

// hasTextAt reports whether a text in lower case begins there, without regard to case.
func hasTextAt(line []byte, start int, text string) bool {
	if start < 0 || len(line)-start < len(text) {
		return false
	}
	for i := range len(text) {
		if lower[line[start+i]] != text[i] {
			return false
		}
	}
	return true
}

// lower maps ASCII to lower case, and all other bytes to themselves.
var lower = func() (table [256]byte) {
	for i := range table {
		table[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			table[i] = byte(i) + 'a' - 'A'
		}
	}
	return table
}()
