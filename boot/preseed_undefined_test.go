package boot

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestPreseedTellsWhatIsUndefined(t *testing.T) {
	t.Parallel()
	renderer := NewRenderer(PreseedLimits{})
	for template, want := range map[string]struct {
		text    string
		missing []string // name:line
	}{
		"{{ hostname }}{{ kernel.filename }}{{ initrd }}{{ domain }}":                     {"web-07vmlinuzexample.org", nil},
		"a\n{{ hostnam }}\n{{ hostnam }}":                                                 {"a\n\n", []string{"hostnam:2"}},
		"a\n\n{{ kernel.filenam }}{{ kernel['nam'] }}":                                    {"a\n\n", []string{"kernel.filenam:3", "kernel.nam:3"}},
		"{% for i in interfaces %}{{ i.name }}{{ i.ip }}\n{% endfor %}":                   {"eth0\neth1\n", []string{"interfaces[].ip:1"}},
		"{% for i in interface %}{{ i.name }}{% else %}none{% endfor %}":                  {"none", []string{"interface:1"}},
		"{% for k in kernel.parts %}x{% endfor %}":                                        {"", []string{"kernel.parts:1"}},
		"{% set a = typo %}\n{{ a }}{{ 'x' ~ typo }}{{ typo ~ 1 }}":                       {"\nx1", []string{"typo:1"}},
		"{{ typo|upper }}{{ typo|length }}{{ [typo]|join(',') }}{{ typo|tojson }}":        {"0null", []string{"typo:1"}},
		"{{ {'a': typo, 'b': kernel.typo}|tojson }}":                                      {`{"a":null,"b":null}`, []string{"typo:1", "kernel.typo:1"}},
		"{% macro m(a) %}{{ a }}{{ b }}{% endmacro %}\n{{ m(1) }}":                        {"\n1", []string{"b:1"}},
		"{% if typo == 'x' %}a{% else %}b{% endif %}{{ typo + 'x' }}":                     {"bx", []string{"typo:1"}},
		"{% if typo is string %}a{% else %}b{% endif %}{{ 'b' if typo is none else 'a'}}": {"bb", []string{"typo:1"}},

		// Ways to cope with what may be missing.
		"{{ maybe|default('x') }}{{ maybe|d('y') }}{{ kernel.nam|default('z') }}":                                                              {"xyz", nil},
		"{% if maybe is defined %}a{% endif %}{% if maybe is not defined %}b{% endif %}":                                                       {"b", nil},
		"{% if maybe is undefined %}a{% endif %}{% if hostname is defined %}b{% endif %}":                                                      {"ab", nil},
		"{% if maybe %}{{ maybe }}{% else %}c{% endif %}{{ 'd' if not maybe }}":                                                                {"cd", nil},
		"{{ maybe or 'x' }}{{ initrd.filename if initrd else 'none' }}":                                                                        {"xnone", nil},
		"[{{ initrd }}{{ initrd.filename }}{{ initrd['filename'] }}{{ initrd|upper }}]{{ initrd|tojson }}":                                     {"[]null", nil},
		"{{ 'a' if initrd is none }}{{ 'b' if not initrd }}{{ initrd|default('c') }}{{ initrd is defined }}{% for i in initrd %}d{% endfor %}": {"abcFalse", nil},
		"{{ maybe if maybe is defined }}{% if kernel.nam %}x{% endif %}":                                                                       {"", nil},
		"{% for i in range(2) %}{{ loop.index }}{% endfor %}{{ dict(a=1).a }}":                                                                 {"121", nil},
		"{% set ns = namespace(n=1) %}{% set ns.m = 2 %}{{ ns.m + ns.n }}":                                                                     {"3", nil},
		"{{ kernel|tojson }}": {`{"description":"6.1","filename":"vmlinuz","known_good":true}`, nil},
		"{% for k, v in kernel.items() %}{{ k }}={{ v }};{% endfor %}{{ kernel.get('x', 'y') }}":          {"description=6.1;filename=vmlinuz;known_good=True;y", nil},
		"{{ interfaces|selectattr('gateway')|map(attribute='name')|join }}{{ interfaces[1].nameserver }}": {"eth010.1.0.2", nil},
		"{{ gateway }} {{ nameservers|join(' ') }} {{ nameserver }} {{ disks|join(' ') }} {{ install_disk }}": {
			"10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.2 /dev/sda /dev/sdb /dev/sda", nil,
		},
	} {
		got, err := renderer.Render(t.Context(), template, testVars)
		if missing := names(got.Undefined); err != nil || string(got.Text) != want.text || !slices.Equal(missing, want.missing) {
			t.Errorf("%q: %q, %q, %v", template, got.Text, missing, err)
		}
	}
}

func names(all []Undefined) (texts []string) {
	for _, u := range all {
		texts = append(texts, fmt.Sprintf("%s:%d", u.Name, u.Line))
	}
	return texts
}

func TestPreseedTellsWhatIsUndefinedBeforeAnError(t *testing.T) {
	got, err := NewRenderer(PreseedLimits{}).Render(t.Context(), "{{ a }}\n{{ b.c }}{{ d }}", testVars)
	if err == nil || !strings.Contains(err.Error(), "b is undefined, and so has no c (line 2)") {
		t.Errorf("error %v", err)
	}
	if missing := names(got.Undefined); !slices.Equal(missing, []string{"a:1", "b:2"}) || got.Text != nil {
		t.Errorf("undefined %q, text %q", missing, got.Text)
	}
	_, err = NewRenderer(PreseedLimits{}).Render(t.Context(), "\n{{ f(1) }}", testVars)
	if err == nil || !strings.Contains(err.Error(), "f is undefined, and no function (line 2)") {
		t.Errorf("error of a call: %v", err)
	}
}

func TestPreseedTellsNoMoreOfWhatIsUndefinedThanFits(t *testing.T) {
	var template strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&template, "{{ %s%d }}\n", strings.Repeat("x", 200), i)
	}
	got, err := NewRenderer(PreseedLimits{}).Render(t.Context(), template.String(), testVars)
	if err != nil || len(got.Undefined) != maxUndefined || len(got.Undefined[0].Name) != maxUndefinedName {
		t.Errorf("%d undefined, %v", len(got.Undefined), err)
	}
}
