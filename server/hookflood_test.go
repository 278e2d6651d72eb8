package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"provisioner/server"
	"provisioner/store"
)

const (
	hookFlood      = 10_200 // requests
	hookConns      = 12
	hookBatch      = 50 // requests that are sent before their answers are read
	mostDiscovered = 1000
)

// hookNoise is a request to the DHCP hook from somebody who means no good, and
// the status that it is worth.
func hookNoise(i int) (request string, status int) {
	post := func(path, body string) string {
		return fmt.Sprintf("POST /dhcp/ipv4/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	}
	mac := fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", i>>24&255, i>>16&255, i>>8&255, i&255)
	switch i % 8 {
	case 0, 1, 2:
		return post("seen", `{"discover":true,"mac":"`+mac+`","options":[{"option":12,"value":"`+strings.Repeat("x", 250)+`"},{"option":93,"value":7}]}`), 202
	case 3:
		return post("lease", `{"mac":"`+mac+`","ipv4":"10.0.0.9","duration":4294967295}`), 404
	case 4:
		return post("seen", strings.Repeat(`{"options":[`, 100+i%300)), 400
	case 5:
		return post("seen", `{"mac":"`+mac[:i%len(mac)]+"\xff\x00"+`"}`), 400
	case 6:
		return "GET /dhcp/ipv4?hwaddr=" + mac + " HTTP/1.1\r\nHost: x\r\n\r\n", 404
	default:
		return post("subnet", `{"mac":"`+mac+`","subnets":[`+strings.Repeat(`{"prefix":"10.0.0.0","prefixLen":8},`, 100)+`{}]}`), 400
	}
}

// TestHookAnswersDuringAFlood floods the DHCP hook over a few connections,
// which send without waiting, while a machine boots again and again.
func TestHookAnswersDuringAFlood(t *testing.T) {
	s := newBootSite(t, 100, server.DHCPConfig{})
	boot := func(i int) {
		t.Helper()
		seen := `{"discover":true,"mac":"` + siteMAC(i%100) + `","options":[{"option":93,"value":7}]}`
		if status, body := s.ask(http.MethodPost, "/dhcp/ipv4/seen", seen); status != 200 {
			t.Fatalf("seen: %d %s", status, body)
		}
		if status, body := s.ask(http.MethodGet, "/dhcp/ipv4?hwaddr="+siteMAC(i%100), ""); status != 200 || !strings.Contains(body, "bootloaders/amd64/uefi/grubx64.efi") {
			t.Fatalf("answer: %d %s", status, body)
		}
	}
	boot(0)
	heap, goroutines := heapInUse(), runtime.NumGoroutine()

	var flood sync.WaitGroup
	failed := make(chan error, hookConns)
	began := time.Now()
	for c := range hookConns {
		flood.Go(func() { failed <- floodHook(strings.TrimPrefix(s.url, "http://"), c) }) // ends with its last answer
	}
	over := make(chan time.Duration, 1)
	go func() { // ends with the flood
		flood.Wait()
		over <- time.Since(began)
	}()
	var took time.Duration
	booted, mostHeap, mostGoroutines, kept := 0, uint64(0), 0, 0
	for took == 0 {
		boot(booted)
		booted++
		if booted%20 == 0 {
			mostHeap, mostGoroutines = max(mostHeap, heapInUse()), max(mostGoroutines, runtime.NumGoroutine())
			kept = max(kept, s.discovered())
		}
		select {
		case took = <-over:
		default:
		}
	}
	for range hookConns {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	boot(0)
	for i := 0; kept < mostDiscovered && i < 1000; i++ { // what waits is kept soon
		boot(i)
		kept = max(kept, s.discovered())
	}
	size := s.databaseSize()
	t.Logf("%d requests, %.0f a second; %d boots meanwhile; heap %d KiB before, %d KiB at most; %d goroutines before, %d at most; %d addresses discovered; %d KiB on disk",
		hookFlood, hookFlood/took.Seconds(), booted, heap>>10, mostHeap>>10, goroutines, mostGoroutines, kept, size>>10)
	if kept != mostDiscovered || s.discovered() != mostDiscovered {
		t.Errorf("%d addresses were discovered, now there are %d; want %d", kept, s.discovered(), mostDiscovered)
	}
	// Of each kind 1024 requests wait at most, with their texts. Each connection has two goroutines at either
	// end, and buffers; each statement leaves the database's driver a goroutine until it has its turn to end.
	if mostHeap > heap+16<<20 || mostGoroutines > goroutines+hookFlood/10 {
		t.Errorf("heap %d KiB before, %d KiB at most; %d goroutines before, %d at most", heap>>10, mostHeap>>10, goroutines, mostGoroutines)
	}
	if size > 16<<20 {
		t.Errorf("the database has %d KiB", size>>10)
	}
}

// floodHook sends one connection's share of the flood, and reads the answers.
func floodHook(address string, c int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for first := 0; first < hookFlood/hookConns; first += hookBatch {
		var requests strings.Builder
		var want [hookBatch]int
		for k := range hookBatch {
			request, status := hookNoise((first+k)*hookConns + c + (first+k)/8)
			requests.WriteString(request)
			want[k] = status
		}
		wrote := make(chan error, 1)
		go func() { // ends with what the server reads
			_, err := io.WriteString(conn, requests.String())
			wrote <- err
		}()
		for k := range hookBatch {
			response, err := http.ReadResponse(reader, nil)
			if err != nil {
				return fmt.Errorf("answer %d: %w", first+k, err)
			}
			_, err = io.Copy(io.Discard, response.Body)
			if response.StatusCode != want[k] {
				err = fmt.Errorf("answer %d is %s, want %d", first+k, response.Status, want[k])
			}
			if err := errors.Join(err, response.Body.Close()); err != nil {
				return err
			}
		}
		if err := <-wrote; err != nil {
			return err
		}
	}
	return nil
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// discovered is how many addresses of no machine are in the database.
func (s *bootSite) discovered() (rows int) {
	s.tb.Helper()
	err := s.db.Read(s.tb.Context(), func(tx *store.Tx) error {
		found, err := tx.DiscoveredMACs(s.tb.Context())
		rows = len(found)
		return err
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	return rows
}

// databaseSize is that of all files of the database, in bytes.
func (s *bootSite) databaseSize() (size int64) {
	s.tb.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "provisioner.db*"))
	if err != nil || len(files) == 0 {
		s.tb.Fatalf("no database in %s: %v", s.dir, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // a log that was merged
		}
		if err != nil {
			s.tb.Fatal(err)
		}
		size += info.Size()
	}
	return size
}
