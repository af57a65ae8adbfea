// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hexcovery/apikey-operator/hack/gateways"
	"github.com/hexcovery/apikey-operator/test/gateways/clients/recorder"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

const (
	isolationTimeout = 3 * time.Minute
	// askers is how many requests are under way at a time.
	askers = 8
)

// tenant is one of the two organizations that share the store.
type tenant struct {
	// id is what the store knows it by.
	id string
	// secret is the value of a label, and value that of a sample, that nobody else may see.
	secret string
	value  string
	// key is its own.
	key string
}

// readTenants returns acme and globex, each with what it alone should see.
func readTenants(ctx context.Context, t *testing.T) []*tenant {
	t.Helper()
	tenants := []*tenant{
		{id: "acme", secret: "coyote-4711", value: "424242.25"},
		{id: "globex-7", secret: "scorpio-0815", value: "737373.75"},
	}
	for i, team := range []string{"team-acme", "team-globex"} {
		data, err := secret(ctx, key{namespace: team, name: "dashboards"})
		if err != nil {
			t.Fatal(err)
		}
		tenants[i].key = string(data["api-key"])
	}
	return tenants
}

// Each of the two organizations tries, with every combination below, to read what is the
// other's, and to write so that the other reads it.
func TestOrganizationsNeverMeetInAStoreThatTheyShare(t *testing.T) {
	ctx := within(t, isolationTimeout)
	store := startStore(ctx, t)
	world.upstream.store.Store(store)
	t.Cleanup(func() { world.upstream.store.Store(nil) })
	tenants := readTenants(ctx, t)
	entrances := map[string]string{}
	for name, entrance := range world.entrances {
		entrances[name] = entrance.http
	}
	leaks := attack(ctx, t, store, tenants, entrances)
	for _, leak := range leaks[:min(10, len(leaks))] {
		t.Error(leak)
	}
	if len(leaks) > 10 {
		t.Errorf("and %d more", len(leaks)-10)
	}
}

// The same combinations have to find a gateway out that lets clients choose their
// organization. Without this nobody knew whether they can find anything.
func TestTheAttacksFindAGatewayThatBelievesItsClients(t *testing.T) {
	ctx := within(t, isolationTimeout)
	store := startStore(ctx, t)
	upstream := rig.Serve(t.Context(), store)
	dir := filepath.Join(world.dir, "broken-nginx")
	config := filepath.Join(dir, "config")
	if err := os.CopyFS(config, os.DirFS(filepath.Join(world.root, "config", "gateways", "nginx"))); err != nil {
		t.Fatal(err)
	}
	const good, bad = "proxy_set_header X-Scope-OrgID  $hexcovery_organization;", "proxy_set_header X-Scope-OrgID $http_x_scope_orgid;"
	path := filepath.Join(config, "headers.conf")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(good)) {
		t.Fatalf("headers.conf has no line %q that could be broken", good)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte(good), []byte(bad), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	nginx, err := gateways.Nginx.Start(ctx, gateways.Options{
		AuthServer: world.authServers.Address(), Upstream: upstream, Dir: dir, Config: config, Log: os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nginx.Stop(); err != nil {
			t.Error(err)
		}
	})
	leaks := attack(ctx, t, store, readTenants(ctx, t), map[string]string{"broken nginx": nginx.HTTP})
	read := slices.ContainsFunc(leaks, func(leak string) bool { return strings.HasPrefix(leak, "read") })
	written := slices.ContainsFunc(leaks, func(leak string) bool { return strings.HasPrefix(leak, "write") })
	if !read || !written {
		t.Errorf("of a gateway that is wide open, %d leaks were found: by reading %t, by writing %t", len(leaks), read, written)
	}
	t.Logf("%d leaks, as there should be", len(leaks))
}

// attack has each tenant attack the other through each entrance, and returns what came
// of it that should not. It fails the test if the tenants do not even see their own.
func attack(ctx context.Context, t *testing.T, store *store, tenants []*tenant, entrances map[string]string) []string {
	t.Helper()
	names := slices.Sorted(maps.Keys(entrances))
	a := &attacker{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: askers}}, own: map[string]int{}}
	defer a.client.CloseIdleConnections()
	for _, one := range tenants {
		// What is to be kept secret is written as its owner would, and through the store's
		// own door, so that a broken gateway has no say in it.
		if err := store.write(ctx, one); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	asking, asked := errgroup.WithContext(ctx)
	asking.SetLimit(askers)
	count := 0
	for i, attacking := range tenants {
		for _, question := range questions(attacking, tenants[1-i], names) {
			count++
			asking.Go(func() error { return a.ask(asked, entrances[question.entrance], question) })
		}
	}
	if err := asking.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests in %.1f s through %v, %d leaks so far", count, time.Since(began).Seconds(), names, len(a.leaks))
	for _, one := range tenants {
		for _, kind := range kinds {
			if a.own[one.id+" "+kind.name] == 0 && kind.shows {
				t.Errorf("%s never saw its own data by %s: the attacks prove nothing", one.id, kind.name)
			}
		}
	}
	leaks, err := store.misplaced(ctx, tenants)
	if err != nil {
		t.Fatal(err)
	}
	return append(a.leaks, leaks...)
}

// attacker sends questions, and looks for what it should not find in the answers.
type attacker struct {
	client *http.Client

	mu    sync.Mutex
	leaks []string
	// own counts in how many answers a tenant found what is its own, by kind of question.
	own map[string]int
}

func (a *attacker) ask(ctx context.Context, address string, q question) error {
	request, err := http.NewRequestWithContext(ctx, q.method, "http://"+address+q.target, strings.NewReader(q.body))
	if err != nil {
		return err
	}
	maps.Copy(request.Header, q.header)
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", q, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", q, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// No question has the victim's secret or value in it, so none can be an echo. Its id is
	// in many, but an echo of that in JSON has a backslash before the quotes.
	for _, forbidden := range []string{q.victim.secret, q.victim.value, `"` + q.victim.id + `"`} {
		if bytes.Contains(body, []byte(forbidden)) {
			a.leaks = append(a.leaks, fmt.Sprintf("read: %s: the answer, %d, has %s", q, response.StatusCode, forbidden))
			break
		}
	}
	if bytes.Contains(body, []byte(q.attacker.secret)) || bytes.Contains(body, []byte(q.attacker.value)) || q.kind == writing && response.StatusCode == http.StatusNoContent {
		a.own[q.attacker.id+" "+q.kind]++
	}
	return nil
}

// write puts the tenant's secret into the store.
func (s *store) write(ctx context.Context, one *tenant) error {
	labels := []label{{"__name__", "marker"}, {"secret", one.secret}, {tenantLabel, one.id}, {"author", one.id}}
	var value float64
	if _, err := fmt.Sscan(one.value, &value); err != nil {
		return err
	}
	data, err := writeRequest(labels, value)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.prometheus.String()+recorder.RemoteWritePath, bytes.NewReader(data))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("write a marker: %s", response.Status)
	}
	return joinClose(err, response.Body)
}
