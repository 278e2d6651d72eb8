package lab_test

import (
	"testing"

	"provisioner/lab"
)

func TestChangeOfAPreseedThatSomebodyElseHasChangedIsAConflict(t *testing.T) {
	f := newFixture(t)
	f.must(f.AddPreseed(t.Context(), f.ada, lab.NewPreseed{Name: "debian", Type: "preseed", Content: "one"}))
	one, two, three := "one", "two", "three"
	f.must(f.ChangePreseed(t.Context(), f.ada, "debian", lab.PreseedChange{Content: &two, Base: &one}))
	f.refused(f.ChangePreseed(t.Context(), f.ada, "debian", lab.PreseedChange{Content: &three, Base: &one}), lab.Conflict, "somebody else has changed it")
	if p, err := f.Preseed(t.Context(), f.ada, "debian"); err != nil || p.Content != "two" {
		t.Errorf("%+v, %v", p, err)
	}
	f.must(f.ChangePreseed(t.Context(), f.ada, "debian", lab.PreseedChange{Content: &three}))
}
