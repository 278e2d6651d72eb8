package lab

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"provisioner/store"
	"provisioner/store/storetest"
)

// told is an observer that writes down what it is told of runs.
type told []string

func (o *told) Happened(string) {}
func (o *told) RunStage(stage string, took time.Duration) {
	*o = append(*o, fmt.Sprint(stage, " ", took))
}
func (o *told) RunEnded(state store.RunState, took time.Duration) {
	*o = append(*o, fmt.Sprint("run ", state, " ", took))
}
func (o *told) AskedBMC(string, time.Duration, error) {}

// TestARunIsObservedStageByStage: each stage counts once, when it is left, also
// one to which a machine came twice.
func TestARunIsObservedStageByStage(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	run := store.RunRecord{
		Run: store.Run{State: store.RunDone, StartedAt: at(0), EndedAt: at(100)},
		Stages: []store.RunStage{
			{Stage: StageAsked, At: at(0)}, {Stage: StageDHCP, At: at(10)}, {Stage: StageConfig, At: at(12)},
			{Stage: StageDHCP, At: at(30)}, {Stage: StagePhoned, At: at(99)},
		},
	}
	var got told
	l := &Lab{observer: &got}
	for _, s := range run.Stages {
		l.observeRun(store.Event{Kind: EventStage, Detail: s.Stage, At: s.At}, run)
	}
	l.observeRun(store.Event{Kind: EventProvisionEnded, At: at(100)}, run)
	want := told{
		"waiting for the machine 10s", "asked DHCP 2s", "configuration loaded 18s", "asked DHCP 1m9s", "phoned home 1s", "run done 1m40s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestALabIsReadyWhileItsFeedRuns(t *testing.T) {
	db, err := storetest.Open(t.Context(), filepath.Join(t.TempDir(), "provisioner.db"))
	if err != nil {
		t.Fatal(err)
	}
	l := &Lab{store: db}
	for what, test := range map[string]struct {
		fed   time.Time
		ready bool
	}{
		"before it runs": {time.Unix(0, 0), false}, "while it runs": {time.Now(), true}, "stuck": {time.Now().Add(-2 * feedLate), false},
	} {
		l.fed.Store(test.fed.UnixNano())
		if err := l.Ready(t.Context()); (err == nil) != test.ready {
			t.Errorf("%s: %v", what, err)
		}
	}
	l.fed.Store(time.Now().UnixNano())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Ready(t.Context()); err == nil {
		t.Error("it is ready without its database")
	}
}
