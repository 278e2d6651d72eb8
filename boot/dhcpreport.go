package boot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// DHCPReporter tells a running server, by its DHCP hook, what a DHCP server's
// script was told.
type DHCPReporter struct {
	URL    *url.URL // of the hook, as http://127.0.0.1:8080/dhcp
	Secret string   // empty: none
	Client *http.Client
}

// Lease tells of a lease. A duration of zero says that it has ended. A MAC
// address of no machine is no error.
func (r DHCPReporter) Lease(ctx context.Context, lease LeaseRequest) error {
	body, err := json.Marshal(map[string]any{
		"mac": lease.MAC.String(), "ipv4": lease.IPv4, "duration": int64(lease.Duration / time.Second),
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL.JoinPath("ipv4/lease").String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("tell the lease of %s: %w", lease.MAC, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if r.Secret != "" {
		request.Header.Set("Authorization", "Bearer "+r.Secret)
	}
	response, err := r.Client.Do(request)
	if err != nil {
		return fmt.Errorf("tell the lease of %s: %w", lease.MAC, err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxHookBody)) // only its status matters
	if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusNotFound {
		return fmt.Errorf("tell the lease of %s: %s answers %s", lease.MAC, request.URL.Redacted(), response.Status)
	}
	return nil
}
