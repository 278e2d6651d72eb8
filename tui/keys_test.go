package tui

import (
	"os"
	"strings"
	"testing"

	"charm.land/bubbles/v2/key"
)

const keysPage = "../docs/keys.md"

// TestKeyBindingsPageIsFresh checks docs/keys.md against the key maps;
// go test ./tui -run TestKeyBindings -update writes it.
func TestKeyBindingsPageIsFresh(t *testing.T) {
	got := keyBindings()
	if *update {
		if err := os.MkdirAll("../docs", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(keysPage, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(keysPage)
	if err != nil || got != string(want) {
		t.Errorf("docs/keys.md is stale (%v): run go test ./tui -run TestKeyBindings -update", err)
	}
}

func keyBindings() string {
	var b strings.Builder
	b.WriteString("# Keys of the dashboard\n\n" +
		"<!-- Generated from tui/keys.go by `go test ./tui -run TestKeyBindings -update`. -->\n\n" +
		"`?` shows those of the screen that you look at.\n")
	for _, s := range keySections() {
		b.WriteString("\n## " + s.title + "\n\n| key | does |\n|---|---|\n")
		for _, k := range s.all {
			b.WriteString("| `" + strings.Join(strings.Split(k.Help().Key, "/"), "` `") + "` | " + k.Help().Desc + " |\n")
		}
	}
	// The filter's own key is a slash, too.
	return strings.ReplaceAll(b.String(), "| `` `` |", "| `/` |")
}

// keySections are those of all screens.
func keySections() []keySection {
	return []keySection{
		dashboardHelp(), filterHelp(), machineHelp(true, true, true), consoleHelp(), logHelp(), logPromptHelp(noPrompt), inventoryHelp(),
		nextBootHelp(), imagesHelp(), imageHelp(), uploadHelp(), preseedsHelp(), preseedHelp(), previewHelp(), discoveredHelp(),
		queueHelp(), placeHelp(), historyHelp(), heldHelp(), poolsHelp(), poolHelp(),
		menuHelp(), formHelp(), questionHelp(),
	}
}

func TestNoKeyMeansTwoThingsOnOneScreen(t *testing.T) {
	for _, s := range keySections() {
		seen := make(map[string]key.Binding)
		for _, k := range s.all {
			for _, name := range k.Keys() {
				if other, taken := seen[name]; taken {
					t.Errorf("%s: %s means %q and %q", s.title, name, other.Help().Desc, k.Help().Desc)
				}
				seen[name] = k
			}
		}
	}
}
