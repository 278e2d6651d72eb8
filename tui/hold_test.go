package tui

import (
	"testing"
	"time"

	"provisioner/lab"
	"provisioner/store"
)

// soon lets time pass, and has the lab look at what is due: adding a machine
// does.
func (s *site) soon(d time.Duration) {
	s.t.Helper()
	s.advance(d)
	s.must(s.lab.ChangeSite(s.t.Context(), lab.Local, func(site *lab.Site) { site.ConsolesInsist = !site.ConsolesInsist }))
}

func TestMachineIsTakenForATimeAndAReason(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("amd-rome-02")
	p.press("j", "R")
	p.awaits("Take amd-rome-02", "7d", "at most 30d")
	p.golden("take-80x24")
	p.press("\x15", "3x", enterKey)
	p.awaits("✗ give a time such as 90m, 4h, 3d or 2w")
	p.press("\x15", "31d", enterKey, "a flaky test", enterKey)
	p.awaits("enter: take amd-rome-02 for 31d")
	p.press(enterKey)
	p.awaits("a machine can be had for 30d at most, not for 31d")
	p.press("\x1b[Z", "\x1b[Z", "\x15", "36h", enterKey, enterKey, enterKey)
	p.awaits("✓ amd-rome-02 is yours", "you  36 h left, until Mar 15 21:26", "a flaky test", "● live")
	p.press(escapeKey)
	p.awaits("36 h    you")
	s.advance(24*time.Hour + 11*time.Hour + 30*time.Minute)
	p.press("j")
	p.awaits("30 min  you")
}

func TestTermIsExtended(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.atMachine(grace, small, "amd-rome-01")
	p.press("E")
	p.awaits("Extend the term of amd-rome-01", "7d", "can be had for 30d in all")
	p.golden("extend-80x24")
	p.press("\x15", "2d", enterKey, enterKey)
	p.awaits("✓ amd-rome-01 is held until Mar 23 09:26", "9 d left, until Mar 23 09:26")
	p.press("E")
	p.awaits("9 d left ─", "in all")
	p.press("\x15", "30d", enterKey, enterKey)
	p.awaits("a machine can be had for 30d at most, which is until", "2026-04-13 09:26 UTC: ask an admin")
	p.press(escapeKey)
	p.awaits("Held by")
	s.must(s.lab.Release(t.Context(), grace, "amd-rome-01"))
	p.awaits("nobody")
	p.press("E")
	p.awaits("✗ amd-rome-01: nobody holds it")
}

func TestWhatCannotBeExtendedOrLentSaysWhy(t *testing.T) {
	s, _, _ := westLab(t)
	root := s.user("root", true)
	s.must(s.lab.Reserve(t.Context(), root, "amd-rome-02", ""))
	p := s.sit(root, 80, 24)
	p.awaits("amd-rome-02")
	p.press("j", "E")
	p.awaits("✗ amd-rome-02: it is yours without an end")
	p.press("k", "L")
	p.awaits("✗ amd-rome-01: you do not hold it")
	p.press("G", "E")
	p.awaits("✗ thunderx-01: nobody holds it")
}

func TestMachineIsLentAndComesBack(t *testing.T) {
	s, grace, ada := westLab(t)
	other := s.atMachine(ada, small, "ampere-01")
	p := s.atMachine(grace, small, "amd-rome-01")
	p.press("L")
	p.awaits("Lend amd-rome-01", "› ada")
	p.golden("lend-80x24")
	p.press("ada", enterKey, "4h", enterKey, "look at it", enterKey, enterKey)
	p.awaits("✓ amd-rome-01 is lent to ada until 13:26", "lent by you", "look at it", "You have lent amd-rome-01 to ada: L takes it back")
	other.awaits("▲ grace has lent you amd-rome-01 until 2026-03-14 13:26 UTC")
	p.press("L")
	p.awaits("Take amd-rome-01 back from ada, to whom you have lent it?")
	p.press("y")
	p.awaits("Held by   you  7 d left", "kernel bisect")
	other.awaits("▲ amd-rome-01 is not yours any more: goes back to who lent it")

	p.press("L")
	p.awaits("› ada")
	p.press("ada", enterKey, enterKey, enterKey, enterKey)
	p.awaits("is lent to ada until Mar 21 09:26")
	again := s.atMachine(ada, small, "amd-rome-01")
	again.press("E")
	again.awaits("✗ amd-rome-01: grace has lent it to you: ask them")
	again.press("r")
	again.awaits("Give amd-rome-01 back to grace?")
	again.press("y")
	again.awaits("amd-rome-01 is released")
	p.awaits("▲ amd-rome-01 is yours again")
	p.press("H")
	p.awaits("5 holders of amd-rome-01", "returned by grace")
	p.golden("history-80x24")
	p.press("j", enterKey)
	p.awaits("amd-rome-01, held by ada", "Lent by   you", "What for  kernel bisect")
}

func TestEndOfATermIsToldOnEveryScreenAndStays(t *testing.T) {
	inWindows(t, func(t *testing.T, w window) {
		s, grace, ada := westLab(t)
		p := s.atMachine(grace, w, "amd-rome-01")
		other := s.sit(ada, w.width, w.height)
		other.awaits("ampere-01")
		elsewhere := s.sit(grace, w.width, w.height)
		elsewhere.awaits("amd-rome-01")
		elsewhere.press("i")
		elsewhere.awaits("0 images")
		p.press("c")
		p.awaits("Typing")
		s.soon(7*24*time.Hour - 50*time.Minute)
		p.awaits("▲ your reservation of amd-rome-01 ends in 50m", "50 min left", "Typing")
		if w.width >= wideWidth {
			p.awaits("term ending")
		}
		p.golden("ending-" + w.name)
		elsewhere.awaits("▲ your reservation of amd-rome-01 ends in 50m")
		other.awaits("▲ your reservation of ampere-01 ends in 50m", "!of amd-rome-01")
		p.press("x") // it is in the middle of a line
		p.press(leaveKey)
		p.awaits("!Typing", "▲ your reservation")
		s.advance(warningStays)
		p.press("?")
		p.awaits("!▲", "any key closes")
		p.press(escapeKey)
		s.soon(time.Hour)
		p.awaits("▲ your reservation of amd-rome-01 is released at", "over since")
		s.soon(time.Hour)
		p.awaits("is not yours any more: the term is over", "You no longer hold amd-rome-01")
	})
}

func TestSomebodyWaitsForAMachineAndGetsIt(t *testing.T) {
	s, grace, ada := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("amd-rome-01")
	p.press("j", "j", "t")
	p.awaits("✗ ampere-01: it is held by ada; R waits for it")
	p.press("R")
	p.awaits("Wait for a machine", "ampere-01", "7d")
	p.press(enterKey, "\x15", "4h", enterKey, "CI is red", enterKey)
	p.awaits("until I have one", "while I am here")
	p.golden("wait-80x24")
	p.press(enterKey, enterKey)
	p.awaits("✓ nothing is free that matches: you are 1st in the queue", "waiting, 1st")
	p.press("Q")
	p.awaits("1 place in the queue", "1st   you", "CI is red")
	// Somebody who must not wait as long comes first.
	root := s.user("root", true)
	_, err := s.lab.Enqueue(t.Context(), root, lab.ReserveRequest{Query: `(= arch "vax")`, Priority: 1, Keep: true})
	s.must(err)
	p.awaits("2nd   you", `1st   root`)
	p.golden("queue-80x24")
	p.press("k", "d")
	p.awaits("✗ it is root who waits there")
	p.press(enterKey)
	p.awaits(`(= arch "vax")`, "Priority  1")
	p.press(escapeKey)
	p.awaits("2 places")
	p.press(escapeKey)
	p.awaits("waiting, 2nd")
	p.press("i")
	p.awaits("0 images")
	s.must(s.lab.Release(t.Context(), ada, "ampere-01"))
	p.awaits("▲ ampere-01 is yours now: you have waited for it")
	p.press(escapeKey)
	p.awaits("2 yours", "!waiting", "4 h     you")
}

func TestQueueGivesWhatIsFreeAtOnceAndPlacesAreGivenUp(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("amd-rome-01")
	p.press("Q")
	p.awaits("Nobody waits for a machine")
	wait := func(keys ...string) {
		p.press("n")
		p.awaits("For       7d")
		p.press(keys...)
	}
	wait(`(= arch "arm6`, enterKey, enterKey, enterKey, enterKey, enterKey)
	p.awaits("query: column 9: this quote")
	p.press("\x1b[Z", "\x1b[Z", "\x1b[Z", "\x1b[Z", `4")`, enterKey, enterKey, enterKey, enterKey, enterKey)
	p.awaits("✓ ampere-02 is yours")
	wait(`(= arch "vax")`, enterKey, enterKey, enterKey, downArrow, enterKey, enterKey)
	p.awaits("you are 1st in the queue", "waits there")
	p.press("d")
	p.awaits(`Wait no more for (= arch "vax")?`)
	p.press("y")
	p.awaits("is given up", "Nobody waits for a machine")
	// What an admin gives up is told.
	wait(`(= arch "vax")`, enterKey, enterKey, enterKey, enterKey, enterKey)
	p.awaits("you are 1st in the queue", "kept")
	places, err := s.lab.Queue(t.Context(), grace)
	s.must(err)
	s.must(s.lab.Leave(t.Context(), s.user("root", true), places[0].ID))
	p.awaits("▲ you wait no more at place 2 in the queue: given up", "Nobody waits")
}

func TestPoolsAreShown(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("amd-rome-01")
	p.press("P")
	p.awaits("There are no pools")
	ctx := t.Context()
	for _, names := range [][2]string{{"bench", "measurers"}, {"build", "builders"}} {
		pool, group := names[0], names[1]
		s.must(s.lab.AddGroup(ctx, lab.Local, group))
		s.must(s.lab.AddPool(ctx, lab.Local, pool))
		s.must(s.lab.ChangePool(ctx, lab.Local, pool, func(p *store.Pool) {
			p.Description, p.Machines, p.Groups = "for "+group+" only", []string{"amd-rome-01", "thunderx-01"}, []string{group}
		}))
	}
	s.must(s.lab.ChangeGroup(ctx, lab.Local, "builders", func(g *store.Group) { g.Members = []string{"grace"} }))
	p.awaits("2 pools", "build     2         ✓")
	p.golden("pools-80x24")
	p.press(enterKey)
	p.awaits("Pool bench", "2 machines", "thunderx-01", "no: an admin can add you")
	p.press(escapeKey)
	p.awaits("2 pools")
	p.press(escapeKey)
	p.awaits("HELD BY")
	p.press(enterKey)
	p.awaits("Pool      bench  for measurers, not for you", "build  for builders", "● live")
	s.must(s.lab.RemovePool(ctx, lab.Local, "bench"))
	p.awaits("!measurers", "Pool      build")
}

func TestFilterUnderstandsQueries(t *testing.T) {
	s, grace, _ := westLab(t)
	p := s.sit(grace, 80, 24)
	p.awaits("amd-rome-01")
	p.press("/", `(= arch "arm64"`)
	p.awaits("5 of 5", "thunderx-01", `(= arch "arm64" `, "column 1: unbalanced")
	p.golden("query-typing-80x24")
	p.press(")")
	p.awaits("3 of 5", "!amd-rome", "!column")
	p.press(enterKey)
	p.golden("query-80x24")
	p.press("/", "\x15", `(and (= arch "arm64") (>= assignee_count 0))`)
	p.awaits(`/ (and (= arch "arm64") (>= assignee_count 0)) `, "3 of 5")
	p.press(enterKey)
	// What comes to match is listed, and what does not any more is not.
	s.machine("xgene-01", "arm64")
	p.awaits("4 of 6", "xgene-01")
	p.press("/", "\x15", `(= assignee_count 0)`, enterKey)
	p.awaits("4 of 6", "!ampere-01")
	s.must(s.lab.Reserve(t.Context(), grace, "thunderx-01", ""))
	p.awaits("3 of 6", "!thunderx-01")
	p.press(escapeKey)
	p.awaits("thunderx-01", "!of 6")
	p.press("/", `(= speed 1)`)
	p.awaits("speed", "6 of 6")
	p.press("\x15", "xgene")
	p.awaits("1 of 6", "!speed")
}

func TestLeftText(t *testing.T) {
	for left, want := range map[time.Duration]string{
		-time.Hour: "over", 0: "over", time.Second: "1 min", 59 * time.Minute: "59 min", time.Hour: "1 h", 47 * time.Hour: "47 h",
		48 * time.Hour: "2 d", 71 * time.Hour: "2 d", 400 * 24 * time.Hour: "400 d",
	} {
		if got := leftText(pi().Add(left), pi()); got != want {
			t.Errorf("%v: %q, wanted %q", left, got, want)
		}
	}
	if got := leftText(time.Time{}, pi()); got != "" {
		t.Errorf("without a term: %q", got)
	}
}

func TestOrdinal(t *testing.T) {
	for n, want := range map[int]string{1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 112: "112th", 123: "123rd"} {
		if got := ordinal(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestNotice(t *testing.T) {
	for _, test := range []struct {
		event store.Event
		want  string
	}{
		{store.Event{Kind: lab.EventTermEnding, User: "grace", Detail: "ends in 1h"}, "your reservation of m1 ends in 1h; E on its page extends it"},
		{store.Event{Kind: lab.EventTermEnding, User: "ada", Detail: "ends in 1h"}, ""},
		{store.Event{Kind: lab.EventIdle, User: "grace", Detail: "has not been used"}, "your reservation of m1 has not been used"},
		{store.Event{Kind: lab.EventReleased, User: "grace", Detail: "grace"}, ""},
		{store.Event{Kind: lab.EventReleased, User: "root", Detail: "grace"}, "m1 is not yours any more: released by root"},
		{store.Event{Kind: lab.EventReleased, User: "root", Detail: "graceful"}, ""},
		{store.Event{Kind: lab.EventLent, User: "ada", Detail: "to grace"}, "ada has lent you m1"},
		{store.Event{Kind: lab.EventLent, User: "ada", Detail: "to graceful until then"}, ""},
		{store.Event{Kind: lab.EventReturned, User: "clock", Detail: "to grace"}, "m1 is yours again"},
		{store.Event{Kind: lab.EventQueueLeft, User: "grace", Detail: "place 5 of grace: given up"}, ""},
		{store.Event{Kind: lab.EventQueueLeft, User: "root", Detail: "place 5 of"}, ""},
		{store.Event{Kind: lab.EventPower, User: "ada", Detail: "off"}, ""},
	} {
		test.event.Machine = "m1"
		if got := notice(test.event, "grace"); got != test.want {
			t.Errorf("%+v: %q", test.event, got)
		}
	}
}
