package server

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

func TestAnInboxTakesWhatThereIsRoomFor(t *testing.T) {
	room := inboxSize
	i := newInbox(func(n int) { room += n })
	put := func(n int) error {
		room -= n
		return i.put([]byte(strings.Repeat("x", n)))
	}
	buffer := make([]byte, inboxSize)
	for range 10 { // as much as it says, again and again
		if err := put(room); err != nil {
			t.Fatalf("%v with room for %d", err, room)
		}
		if _, err := io.ReadFull(i, buffer[:inboxSize/2]); err != nil {
			t.Fatal(err)
		}
	}
	if room <= 0 {
		t.Error("there is never any room")
	}
	if err := put(room + 1); !errors.Is(err, errTooEager) {
		t.Errorf("one more: %v", err)
	}
}

func TestAnInboxEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newInbox(func(int) {})
		if err := i.put([]byte("last")); err != nil {
			t.Fatal(err)
		}
		i.end(nil)
		i.end(errHungUp) // which it was before
		if text, err := io.ReadAll(i); err != nil || string(text) != "last" {
			t.Errorf("%q, %v", text, err)
		}
		if n, err := i.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("and again: %d, %v", n, err)
		}
		if err := i.put([]byte("x")); err != nil {
			t.Errorf("what comes afterwards: %v", err)
		}

		i = newInbox(func(int) {})
		ended := make(chan error, 1)
		go func() { // ends with i
			_, err := i.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		i.end(errHungUp)
		if err := <-ended; !errors.Is(err, errHungUp) {
			t.Errorf("who waited: %v", err)
		}
	})
}
