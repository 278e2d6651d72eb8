package query_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"provisioner/query"
)

func TestQueriesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]string{
		"":            "",
		" \t\r\n":     "",
		"(and)":       "(and)",
		"(or)":        "(or)",
		"(not (and))": "(not (and))",
		`(and (= arch "arm64") (= assignee_count 0))`: `(and (= arch "arm64") (= assignee_count 0))`,
		`( and(= arch "arm64")(or(= name nil)) )`:     `(and (= arch "arm64") (or (= name nil)))`,
		`(= arch arm64)`:                               `(= arch "arm64")`,
		`(= "arm64" arch)`:                             `(= arch "arm64")`,
		`(< 2 interface_count)`:                        `(> interface_count 2)`,
		`(>= -1 interface_count)`:                      `(<= interface_count -1)`,
		`(!= bmc_type nil)`:                            `(!= bmc_type nil)`,
		`(= name "nil")`:                               `(= name "nil")`,
		`(= name 12)`:                                  `(= name "12")`,
		`(=~ name "say \"no\" \\ yes")`:                `(=~ name "say \"no\" \\ yes")`,
		`(=~ holder "größe")`:                          `(=~ holder "größe")`,
		`(=~ name �)`:                                  `(=~ name "�")`,
		`(= netboot true)`:                             `(= netboot true)`,
		`(!= netboot false)`:                           `(!= netboot false)`,
		`(= mac 52-54-00-AB-CD-EF)`:                    `(= mac "52:54:00:ab:cd:ef")`,
		`(= power ON)`:                                 `(= power "ON")`,
		`(or (=~ name ";") (= stage "kernel loaded"))`: `(or (=~ name ";") (= stage "kernel loaded"))`,
		strings.Repeat("(not ", 31) + "(and)" + strings.Repeat(")", 31): strings.Repeat("(not ", 31) + "(and)" + strings.Repeat(")", 31),
	} {
		q, err := query.Parse(text)
		if err != nil || q.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, q, err, want)
		}
	}
}

func TestMistakesAreShownWhereTheyAre(t *testing.T) {
	for text, want := range map[string]string{
		`(`:                             "column 1: unbalanced: this bracket is never closed",
		`(and (= name "a")`:             "column 1: unbalanced: this bracket is never closed",
		`(and (= name "a"`:              "column 6: unbalanced: this bracket is never closed",
		`(= name`:                       "column 1: unbalanced: this bracket is never closed",
		`)`:                             "column 1: unbalanced: this bracket closes nothing",
		`(and))`:                        "column 6: unbalanced: this bracket closes nothing",
		`(and) (or)`:                    "column 7: the query has ended before this; put (and ...) around several expressions",
		`name`:                          `column 1: "name" is no expression: it begins with a bracket, as in (= arch "arm64")`,
		`(and name)`:                    `column 6: "name" is no expression: it begins with a bracket, as in (= arch "arm64")`,
		`()`:                            `column 2: a closing bracket is no operator: there are and, or, not, =, !=, <, <=, >, >= and =~`,
		`(== name "a")`:                 `column 2: "==" is no operator: there are and, or, not, =, !=, <, <=, >, >= and =~`,
		`("=" name "a")`:                `column 2: "=" is no operator: there are and, or, not, =, !=, <, <=, >, >= and =~`,
		`(not)`:                         "column 5: not takes one expression, and here are 0",
		`(not (and) (or))`:              "column 16: not takes one expression, and here are 2",
		`(= name)`:                      "column 8: = takes a field and a value, and here are 1 of the two",
		`(= name "a" "b")`:              `column 13: = takes a field and a value; "b" is too much`,
		`(= name (and))`:                "column 9: = compares a field and a value, not expressions",
		`(= naem "a")`:                  `column 4: "naem" is no field: there are name, arch,`,
		`(= "größe" naem)`:              `column 12: "naem" is no field`,
		`(= arch name)`:                 "column 9: name is a field, too; to compare with the text, put it in quotes",
		`(= assignee_count "0")`:        `column 19: assignee_count is a number, and "0" is none`,
		`(= assignee_count nil)`:        "column 19: assignee_count is never nil: it is a number",
		`(= assignee_count 1e99)`:       `column 19: assignee_count is a number, and "1e99" is none`,
		`(=~ assignee_count 1)`:         "column 20: assignee_count is a number, which contains nothing",
		`(< netboot true)`:              "column 12: netboot is true or false; compare it by = or !=",
		`(= netboot 1)`:                 `column 12: netboot is true or false, and "1" is neither`,
		`(< name nil)`:                  "column 9: nil is compared by = and != only",
		`(=~ "a" name)`:                 `column 5: =~ takes the field first: (=~ name "a")`,
		`(= power "up")`:                `column 10: power is never "up": it is one of on, off, unknown`,
		`(= name "a`:                    "column 9: this quote is never closed",
		`(= name "a\n")`:                `column 11: \ stands before " and \ only`,
		"(= name \"a\x00\")":            "column 11: a control character (U+0000)",
		"(= na\x01me 1)":                "column 6: a control character (U+0001)",
		"(= name \"\xff\")":             "column 10: this is no UTF-8",
		"(= n\xff 1)":                   "column 5: this is no UTF-8",
		strings.Repeat("(not ", 500):    "column 161: more than 32 brackets within each other",
		strings.Repeat("(", 4097):       "column 4097: the query has 4097 characters, and 4096 are possible",
		`(= ` + strings.Repeat("x", 99): "column 1: unbalanced",
	} {
		q, err := query.Parse(text)
		var failure *query.Error
		if !errors.As(err, &failure) || !strings.HasPrefix(err.Error(), want) || q.Root() != nil {
			t.Errorf("%.60s: %v\nwant %s", text, err, want)
		}
	}
}

func TestQueriesAreAnsweredByWhatAMachineHas(t *testing.T) {
	machine := map[string]any{
		"id": int64(7), "name": "Web-07", "arch": "arm64", "subarch": "uefi", "state": "ready", "power": "on", "stage": "",
		"bmc_type": "", "kernel": "", "initrd": "", "preseed": "d-i", "netboot": true,
		"assignee_count": int64(2), "interface_count": int64(1),
		"holder": []string{"ada", "grace"}, "mac": []string{"52:54:00:00:00:07"}, "address": []string(nil), "network": []string{"lab"},
		"pool": []string{"ci", "kernel"},
	}
	for text, want := range map[string]bool{
		"": true, "(and)": true, "(or)": false,
		`(= name "web-07")`: true, `(=~ name "EB-0")`: true, `(< name "web-08")`: true, `(> name "web-07")`: false,
		`(!= arch "amd64")`: true, `(= bmc_type nil)`: true, `(= bmc_type "")`: true, `(!= bmc_type moonshot)`: true, `(< bmc_type plain)`: true,
		`(= preseed nil)`: false, `(!= preseed nil)`: true,
		`(= assignee_count 2)`: true, `(> assignee_count 2)`: false, `(>= assignee_count 2)`: true, `(!= assignee_count 2)`: false,
		`(= netboot true)`: true, `(!= netboot true)`: false, `(= power ON)`: true,
		`(= holder grace)`: true, `(!= holder grace)`: false, `(!= holder eve)`: true, `(= holder nil)`: false, `(!= holder nil)`: true,
		`(> holder b)`: true, `(=~ holder "RAC")`: true, `(=~ holder "")`: true,
		`(= address nil)`: true, `(!= address nil)`: false, `(=~ address "")`: false, `(= address "")`: true,
		`(=~ mac 54-00)`: true, `(= pool ci)`: true, `(= pool nil)`: false,
		`(and (= id 7) (or (= name x) (not (= name x))))`: true, `(and (= id 7) (= id 8))`: false, `(or (= id 7) (= id 8))`: true,
	} {
		q, err := query.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := q.Match(func(field string) any { return machine[field] }); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	for _, f := range query.Fields() {
		if _, known := machine[f.Name]; !known {
			t.Errorf("the test does not know the field %s", f.Name)
		}
	}
}

func TestQueriesAreCombined(t *testing.T) {
	arm, err := query.Parse("(= arch arm64)")
	if err != nil {
		t.Fatal(err)
	}
	if got := query.HeldBy("ada").And(arm).String(); got != `(and (= holder "ada") (= arch "arm64"))` {
		t.Error(got)
	}
	if got := (query.Query{}).And(arm).And(query.Query{}).String(); got != `(= arch "arm64")` {
		t.Error(got)
	}
	if !arm.Uses("arch") || arm.Uses("name") || (query.Query{}).Uses("arch") {
		t.Error("the fields that a query uses are not known")
	}
}

// FuzzParse looks for text that ends the parser, and for queries that are
// another one when they are read again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", "(and)", `(and (= arch "arm64") (= assignee_count 0))`, `(or (< 1 id) (not (=~ name "\"\\")))`, "(((", `(= name "`,
		"(= mac 52-54-00-AB)", `(!= bmc_type nil)`, "(= netboot true)", "(=~ name \xef\xbf\xbd)",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := query.Parse(text)
		if err != nil {
			if e := (*query.Error)(nil); !errors.As(err, &e) || e.Column < 1 || e.Problem == "" {
				t.Fatalf("%v does not say where", err)
			}
			return
		}
		again, err := query.Parse(q.String())
		if err != nil && len(q.String()) > query.MaxLength {
			return // written with more characters than it was read with
		}
		if err != nil || !reflect.DeepEqual(again.Root(), q.Root()) {
			t.Fatalf("%q is written as %q, which is %v, %v", text, q, again, err)
		}
		q.Match(func(string) any { return "" })
	})
}

func TestOtherThingsHaveOtherFields(t *testing.T) {
	fields := []query.Field{{Name: "size", Type: query.Number}, {Name: "public", Type: query.Bool}, {Name: "arch", Type: query.Text}}
	for text, want := range map[string]bool{
		`(and (> size 10) (= public true))`: true, `(= arch arm64)`: false, `(not (= arch "arm64"))`: true, ``: true,
	} {
		q, err := query.ParseFor(fields, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := q.Match(func(field string) any {
			return map[string]any{"size": int64(11), "public": true, "arch": "amd64"}[field]
		})
		if got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	if _, err := query.ParseFor(fields, `(= holder ada)`); err == nil || !strings.Contains(err.Error(), "there are size, public, arch") {
		t.Errorf("a machine's field: %v", err)
	}
}
