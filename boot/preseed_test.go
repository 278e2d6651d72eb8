package boot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

var testVars = PreseedVars{
	SSHKey:        "ssh-ed25519 AAAA alice",
	SSHKeys:       []string{"ssh-ed25519 AAAA alice", "ssh-rsa BBBB bob"},
	Hostname:      "web-07",
	KernelOptions: "console=ttyS0 <&>",
	Kernel:        &PreseedImage{Filename: "vmlinuz", Description: "6.1", KnownGood: true},
	Interfaces: []PreseedInterface{
		{Name: "eth0", StaticIPv4: "10.0.0.7", Prefix: 24, Netmask: "255.255.255.0", MAC: "52:54:00:00:00:01", Gateway: "10.0.0.1"},
		{Name: "eth1", StaticIPv4: "10.1.0.7", Prefix: 16, Netmask: "255.255.0.0", MAC: "52:54:00:00:00:02", Nameservers: []string{"10.1.0.2"}},
	},
	Gateway:      "10.0.0.1",
	Nameservers:  []string{"10.0.0.2", "10.0.0.3"},
	Domain:       "example.org",
	Disks:        []string{"/dev/sda", "/dev/sdb"},
	PhoneHomeURL: "http://10.0.0.1/done/X",
	PreseedURL:   "http://10.0.0.1/preseed/X",
}

func TestPreseedRenders(t *testing.T) {
	t.Parallel()
	renderer := NewRenderer(PreseedLimits{})
	for template, want := range map[string]string{
		"":                    "",
		"plain text\n":        "plain text\n",
		"a\r\nb":              "a\nb",
		"latin-1: \xe4\xf6\n": "latin-1: \xe4\xf6\n",
		"{{ hostname }}":      "web-07",
		"[{{ missing }}]":     "[]",
		"[{{ initrd }}]":      "[]",
		"{{ initrd.filename|default('none') if initrd else 'no initrd' }}":          "no initrd",
		"{{ kernel.filename }} {{ kernel['description'] }} {{ kernel.known_good }}": "vmlinuz 6.1 True",
		"{{ kernel_options }}":                     "console=ttyS0 <&>",
		"{{ ssh_key }}|{{ ssh_keys|join('\\n') }}": "ssh-ed25519 AAAA alice|ssh-ed25519 AAAA alice\nssh-rsa BBBB bob",
		"{{ phone_home_url }} {{ preseed_url }}":   "http://10.0.0.1/done/X http://10.0.0.1/preseed/X",
		"{% for i in interfaces %}{{ loop.index }}:{{ i.name }}={{ i.static_ipv4 }}/{{ i.prefix }} {{ i.netmask }} {{ i.mac }};{% endfor %}": "1:eth0=10.0.0.7/24 255.255.255.0 52:54:00:00:00:01;2:eth1=10.1.0.7/16 255.255.0.0 52:54:00:00:00:02;",
		"{% if interfaces %}static{% else %}dhcp{% endif %}": "static",
		"{% set x = 2 * 21 %}{{ x }}":                        "42",
		"{%- set ns = namespace(n=0) -%}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}": "10",
		"{% macro m(a, b='c') %}{{ a }}{{ b }}{% endmacro %}{{ m('x') }}{{ m('y', b='z') }}":                    "xcyz",
		"{% raw %}{{ not this }}{% endraw %}{# nor this #}":                                                     "{{ not this }}",
		"{% filter upper %}abc{% endfilter %}":                                                                  "ABC",
		"{% with a = 1 %}{{ a }}{% endwith %}":                                                                  "1",
		"{{ '%s-%s'|format('a', 'b') }} {{ 'a,b'.split(',')[1] }} {{ hostname[:3] }}":                           "a-b b web",
		"{{ interfaces|map(attribute='name')|list|length }}":                                                    "2",
		"{{ 'yes' if 'alice' in ssh_key else 'no' }}":                                                           "yes",
		"{{ 'a' * 3 }}{{ 'b' ~ 1 }}":                                                                            "aaab1",
	} {
		got, err := renderer.Render(t.Context(), template, testVars)
		if diff := cmp.Diff(want, string(got.Text)); err != nil || diff != "" {
			t.Errorf("%q: %v %s", template, err, diff)
		}
	}
}

func TestPreseedErrorsTellMessageAndLine(t *testing.T) {
	t.Parallel()
	renderer := NewRenderer(PreseedLimits{Template: 100_000})
	for template, want := range map[string]PreseedError{
		"a\nb {% if x %}\nc":                       {Syntax: true, Line: 3, Message: "Unexpected EOF, expected tag elif or else or endif."},
		"a\n{% nonsense %}":                        {Syntax: true, Line: 2, Message: "ControlStructure 'nonsense' not found (or beginning not provided)"},
		"a\n\n{{ x":                                {Syntax: true, Line: 3},
		"a\n{{ 'x }}\n":                            {Syntax: true, Line: 2},
		"a\n{{ a ? b }}":                           {Syntax: true, Line: 2},
		"a\n{{ a b }}":                             {Syntax: true, Line: 2, Message: "'}}' expected here"},
		"a\n{% for x %}{% endfor %}":               {Syntax: true, Line: 2, Message: "Expected keyword 'in'."},
		"a\n\n{% raw %}{% endraw %}":               {Syntax: true, Line: 3},
		"{% include '/etc/passwd' %}":              {Syntax: true, Line: 1, Message: "'include' is not possible: a preseed template cannot read other files"},
		"\n{% extends 'x' %}":                      {Syntax: true, Line: 2, Message: "'extends' is not possible: a preseed template cannot read other files"},
		"{% import 'x' as y %}":                    {Syntax: true, Line: 1, Message: "'import' is not possible: a preseed template cannot read other files"},
		"{% from 'x' import y %}":                  {Syntax: true, Line: 1, Message: "'from' is not possible: a preseed template cannot read other files"},
		strings.Repeat("x", 100_001):               {Syntax: true, Line: 1, Message: "the template has 100001 bytes, at most 100000 are possible"},
		"a\n{{ x|nonsense }}":                      {Line: 2, Message: "filter 'nonsense' not found (line 2)"},
		"a\n{% if true %}\n{{ 1 % 0 }}{% endif %}": {Message: "runtime error: integer divide by zero"},
		"a\n{{ x.y.z }}":                           {Line: 2, Message: "x is undefined, and so has no y (line 2)"},
		"{{ 'a'|indent(-1, 2, 3) }}":               {Line: 1},
		"{{ [1].Swap(0, 5) }}":                     {},
		"{{ ''.ljust(3, '') }}":                    {},
	} {
		_, err := renderer.Render(t.Context(), template, testVars)
		var got *PreseedError
		if !errors.As(err, &got) {
			t.Errorf("%.50q: %v", template, err)
			continue
		}
		t.Logf("%.50q: %v", template, err)
		if got.Syntax != want.Syntax || want.Line != 0 && got.Line != want.Line || want.Message != "" && got.Message != want.Message {
			t.Errorf("%.50q: got %+v, want %+v", template, *got, want)
		}
		if check := renderer.Check(template); (check != nil) != want.Syntax || check != nil && check.Error() != err.Error() {
			t.Errorf("%.50q: Check gives %v", template, check)
		}
	}
	if err := renderer.Check("{{ hostname }} {{ missing.at.render }}"); err != nil {
		t.Errorf("Check of a good template: %v", err)
	}
}

func TestPreseedErrorsHaveTheTextThatClientsKnow(t *testing.T) {
	syntax := PreseedError{Syntax: true, Message: "m", Line: 3}
	other := PreseedError{Message: "m", Line: 3}
	if got := syntax.Error(); got != "Syntax error on preseed template: m - line: 3" {
		t.Error(got)
	}
	if got := other.Error(); got != "Exception raised while rendering preseed template: m" {
		t.Error(got)
	}
}

// attacks are templates that would take a server down.
var attacks = map[string]string{
	"endless loop":            "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
	"endless range":           "{% for i in range(9999999999999) %}{{ i }}{% endfor %}",
	"range left alone":        "{% set x = range(9999999999999) %}{% for i in range(0, 10, 0) %}{% endfor %}",
	"huge string":             "{{ 'a' * 1000000000 }}",
	"impossible string":       "{{ 'a' * 9000000000000000 }}",
	"overflowing string":      "{{ ('a' * 1000) * 9223372036854775807 }}",
	"doubling string":         "{% set n = namespace(s='aaaaaaaaaa') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
	"huge centred string":     "{{ 'a'|center(99999999999) }}",
	"huge format":             "{{ '%099999999d'|format(1) }}{{ '%0999999999d'|format(1) }}",
	"replacing":               "{% set a = 'a' * 1000000 %}{{ a.replace('a', a, -1) }}",
	"much output":             "{% for i in range(100) %}{{ 'a' * 100000 }}{% endfor %}",
	"much kept":               "{% set n = namespace(l=[]) %}{% for i in range(100000) %}{% set n.l = n.l + ['a' * 100000 ~ i] %}{% endfor %}",
	"macro that calls itself": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
	"list of lists of lists":  "{% set n = namespace(l=['a']) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l }}",
	"value that holds itself": "{% set n = namespace(x=1) %}{% set n.n = n %}{{ n }}",
	"deep brackets":           "{{ " + strings.Repeat("(", 500_000) + "1" + strings.Repeat(")", 500_000) + " }}",
	"deep tags":               strings.Repeat("{% if 1 %}", 90_000) + strings.Repeat("{% endif %}", 90_000),
	"long sum":                "{{ 1" + strings.Repeat("+1", 900_000) + " }}",
	"open brackets":           strings.Repeat("{{ (", 500_000),
	"big number":              "{{ ('9' * 3000000)|int }}",
	"loop that recurses":      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
	"block that shows itself": "{% block b %}{{ self.b() }}{% endblock %}",
	"wrapped words":           "{{ ('a ' * 2000000)|wordwrap(99999999) }}",
	"lorem":                   "{{ lipsum(n=100000000) }}",
}

func TestPreseedAttacksHarmNobody(t *testing.T) {
	t.Parallel()
	limits := PreseedLimits{Time: 300 * time.Millisecond, Memory: 64 << 20, Output: 1 << 20, Concurrent: 2}
	renderer := NewRenderer(limits)
	var group errgroup.Group
	for name, template := range attacks {
		group.Go(func() error {
			text, err := renderer.Render(t.Context(), template, testVars)
			if !errors.As(err, new(*PreseedError)) && (err != nil || len(text.Text) > limits.Output) {
				t.Errorf("%s: %d bytes, %v", name, len(text.Text), err)
			}
			t.Logf("%s: %d bytes, %v", name, len(text.Text), err)
			return nil
		})
	}
	_ = group.Wait() // the functions report by themselves
	if len(renderer.slots) != 0 {
		t.Errorf("after that, %d turns are still taken", len(renderer.slots))
	}
}

func TestPreseedSaysWhichLimitATemplateExceeds(t *testing.T) {
	t.Parallel()
	const patient = 20 * time.Second // what else ends a template ends it much earlier
	for _, test := range []struct {
		attack string
		time   time.Duration
		want   string
	}{
		{"endless range", 100 * time.Millisecond, "the template takes longer than 100ms"},
		{"huge string", patient, "the template needs more than 268435456 bytes of memory"},
		{"macro that calls itself", patient, "the template nests too deeply, or calls itself without end"},
		{"value that holds itself", patient, "the template nests too deeply, or calls itself without end"},
	} {
		_, err := NewRenderer(PreseedLimits{Time: test.time}).Render(t.Context(), attacks[test.attack], testVars)
		if err == nil || err.Error() != "Exception raised while rendering preseed template: "+test.want {
			t.Errorf("%s: %v, want %s", test.attack, err, test.want)
		}
	}
}

func TestPreseedOutputIsBounded(t *testing.T) {
	renderer := NewRenderer(PreseedLimits{Output: 1000})
	text, err := renderer.Render(t.Context(), "{{ 'a' * 1000 }}", testVars)
	if len(text.Text) != 1000 || err != nil {
		t.Errorf("at the limit: %d bytes, %v", len(text.Text), err)
	}
	_, err = renderer.Render(t.Context(), "{{ 'a' * 1001 }}", testVars)
	if err == nil || !strings.Contains(err.Error(), "larger than 1000 bytes") {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestPreseedWorkerHasNoEnvironment(t *testing.T) {
	t.Setenv("PROVISIONER_SECRET", "hunter2")
	renderer := NewRenderer(PreseedLimits{})
	for _, template := range []string{"{{ environ }}{{ env }}{{ os }}", "{{ self }}", "{{ gonja }}"} {
		text, err := renderer.Render(t.Context(), template, testVars)
		if strings.Contains(string(text.Text)+fmt.Sprint(err), "hunter2") {
			t.Errorf("%q gives %q, %v", template, text.Text, err)
		}
	}
}

func TestPreseedWaitsForItsTurnNoLongerThanItsContext(t *testing.T) {
	renderer := NewRenderer(PreseedLimits{Concurrent: 1})
	renderer.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := renderer.Render(ctx, "x", testVars); !errors.Is(err, context.Canceled) {
		t.Errorf("while waiting: %v", err)
	}
	<-renderer.slots
	if _, err := renderer.Render(ctx, "x", testVars); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if len(renderer.slots) != 0 {
		t.Error("the turn is not given back")
	}
}

func FuzzPreseed(f *testing.F) {
	f.Add(attacks["huge format"])
	f.Add(attacks["value that holds itself"])
	f.Add(attacks["macro that calls itself"])
	f.Add("{% for i in interfaces %}{{ i.name|upper }}{% else %}x{% endfor %}{{ missing }}")
	f.Add("{{ a.b }}{{ kernel.c }}{{ kernel['d'] }}{{ e() }}{{ f|g }}{{ h is i }}{% for j in k %}{% endfor %}{{ [l, m]|tojson }}{{ n + o }}")
	f.Add("{% for k, v in kernel.items() %}{{ v }}{% endfor %}{% for x in kernel %}{% endfor %}{{ kernel }}{{ kernel.get() }}{{ kernel.update(1) }}")
	renderer := NewRenderer(PreseedLimits{Time: 500 * time.Millisecond, Memory: 64 << 20, Output: 1 << 20})
	f.Fuzz(func(t *testing.T, template string) {
		text, err := renderer.Render(t.Context(), template, testVars)
		if err != nil && !errors.As(err, new(*PreseedError)) {
			t.Fatalf("%q: %q, %v", template, text.Text, err)
		}
	})
}

func BenchmarkPreseed(b *testing.B) {
	renderer := NewRenderer(PreseedLimits{})
	for b.Loop() {
		if _, err := renderer.Render(b.Context(), "{% for i in interfaces %}{{ i.name }}{% endfor %}", testVars); err != nil {
			b.Fatal(err)
		}
	}
}
