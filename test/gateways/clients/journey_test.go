// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hexcovery/apikey-operator/test/gateways/clients/recorder"
)

const (
	// some is how many items of each stream have to arrive before the next thing happens.
	some = 5
	// journeyTimeout bounds the journey on a machine that does other work, too.
	journeyTimeout = 2 * time.Minute
)

// organizations are the ids by which upstreams know the teams.
var organizations = map[string]string{"team-acme": "acme", "team-globex": "globex-7"}

// Every client sends all the time, through each gateway, while its key is replaced and
// the auth servers are restarted, one at a time. What arrives is compared, at the end,
// with what was sent.
func TestNothingIsLostWhileKeysAreReplacedAndAuthServersRestart(t *testing.T) {
	ctx := within(t, journeyTimeout)
	j := &journey{shippers: allShippers(t)}
	for _, step := range []struct {
		name string
		take func(context.Context) error
	}{
		{"start with the first key", j.start},
		{"replace the key", j.replace},
		{"delete the first key", j.deleteFirst},
		{"restart the auth servers", j.restart},
		{"finish", j.finish},
	} {
		began := time.Now()
		if err := step.take(ctx); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		t.Logf("%s: %.1f s", step.name, time.Since(began).Seconds())
	}
	for i, shipper := range j.shippers {
		t.Run(shipper.name(), func(t *testing.T) { compare(t, shipper, j.sent[i], "agents-1", "agents-2") })
	}
	if faults := world.store.Faults(); len(faults) > 0 {
		t.Errorf("%d requests should not have come to the back end, such as %s", len(faults), faults[0])
	}
	nobodyWroteAKey(t)
}

// journey is what the clients go through.
type journey struct {
	shippers []shipper
	// sent is, for each shipper, what it says it has sent.
	sent []map[recorder.Stream][]int64
}

// each does something with all shippers at once.
func (j *journey) each(ctx context.Context, do func(context.Context, int, shipper) error) error {
	doing, ctx := errgroup.WithContext(ctx)
	for i, shipper := range j.shippers {
		doing.Go(func() error {
			if err := do(ctx, i, shipper); err != nil {
				return fmt.Errorf("%s: %w", shipper.name(), err)
			}
			return nil
		})
	}
	return doing.Wait()
}

func (j *journey) start(ctx context.Context) error {
	secrets, err := secretsOf(ctx, "agents-1")
	if err != nil {
		return err
	}
	err = j.each(ctx, func(ctx context.Context, _ int, s shipper) error {
		return s.start(ctx, secrets[s.team()])
	})
	return errors.Join(err, j.more(ctx, "agents-1"))
}

// secretsOf returns those of the key that each team has under a name.
func secretsOf(ctx context.Context, name string) (map[string]map[string][]byte, error) {
	secrets := map[string]map[string][]byte{}
	for team := range organizations {
		k := key{namespace: team, name: name}
		data, err := secret(ctx, k)
		if err != nil {
			return nil, err
		}
		secrets[team] = data
	}
	return secrets, nil
}

// more waits until some more has arrived from everybody, with the key of that name.
func (j *journey) more(ctx context.Context, name string) error {
	return j.each(ctx, func(ctx context.Context, _ int, s shipper) error {
		sender := recorder.Sender{Organization: organizations[s.team()], Key: key{namespace: s.team(), name: name}.String()}
		for _, stream := range s.streams() {
			before := world.store.Tally(stream).BySender()[sender]
			err := world.store.Await(ctx, stream, func(t recorder.Tally) bool { return t.BySender()[sender] >= before+some })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (j *journey) replace(ctx context.Context) error {
	if err := apply(ctx, "next-keys.yaml"); err != nil {
		return err
	}
	if err := awaitKeys(ctx); err != nil {
		return err
	}
	secrets, err := secretsOf(ctx, "agents-2")
	if err != nil {
		return err
	}
	err = j.each(ctx, func(ctx context.Context, _ int, s shipper) error {
		return s.replace(ctx, secrets[s.team()])
	})
	return errors.Join(err, j.more(ctx, "agents-2"))
}

// deleteFirst returns when no auth server accepts the first keys any more.
func (j *journey) deleteFirst(ctx context.Context) error {
	for team := range organizations {
		if err := kubectl(ctx, "delete", "apikey", "agents-1", "-n", team, "--timeout=60s"); err != nil {
			return err
		}
	}
	return j.more(ctx, "agents-2")
}

// restart restarts the auth servers as a rolling update does that may not have more
// pods: one at a time, gracefully, and the next one when that is ready.
func (j *journey) restart(ctx context.Context) error {
	for _, server := range world.product.AuthServers {
		if err := server.Stop(ctx); err != nil {
			return err
		}
		if err := j.more(ctx, "agents-2"); err != nil {
			return err
		}
		server.NewPod()
		if err := server.Start(ctx); err != nil {
			return err
		}
		if err := awaitReady(ctx, replicas); err != nil {
			return err
		}
	}
	return j.more(ctx, "agents-2")
}

func (j *journey) finish(ctx context.Context) error {
	j.sent = make([]map[recorder.Stream][]int64, len(j.shippers))
	return j.each(ctx, func(ctx context.Context, i int, s shipper) (err error) {
		j.sent[i], err = s.finish(ctx)
		return err
	})
}

// compare compares what a client has sent with what arrived, all of it with the keys of
// these names.
func compare(t *testing.T, shipper shipper, allSent map[recorder.Stream][]int64, names ...string) {
	t.Helper()
	keysSeen := map[string]bool{}
	for stream, sent := range allSent {
		tally := world.store.Tally(stream)
		missing := tally.Missing(sent)
		if len(missing) > 0 {
			t.Errorf("%s %s: %d of %d are missing: %v", stream.Client, stream.Signal, len(missing), len(sent), missing)
		}
		if len(tally) != len(sent) {
			t.Errorf("%s %s: %d arrived, and %d were sent", stream.Client, stream.Signal, len(tally), len(sent))
		}
		if twice := tally.Twice(); len(twice) > 0 && !shipper.repeats() {
			t.Errorf("%s %s: came more than once: %v", stream.Client, stream.Signal, twice)
		}
		if want := []string{organizations[shipper.team()]}; !slices.Equal(tally.Organizations(), want) {
			t.Errorf("%s %s: came under %v, want %v", stream.Client, stream.Signal, tally.Organizations(), want)
		}
		for sender := range tally.BySender() {
			keysSeen[sender.Key] = true
		}
		t.Logf("%s %s: %d sent, %s", stream.Client, stream.Signal, len(sent), tally)
	}
	want := map[string]bool{}
	for _, name := range names {
		want[key{namespace: shipper.team(), name: name}.String()] = true
	}
	if !maps.Equal(keysSeen, want) {
		t.Errorf("it came with the keys %v, want %v", keysSeen, want)
	}
}

// nobodyWroteAKey looks for the clients' keys in the logs of every program.
func nobodyWroteAKey(t *testing.T) {
	t.Helper()
	world.mintedMu.Lock()
	defer world.mintedMu.Unlock()
	for _, dir := range []string{world.dir, world.product.ControlPlane.LogDir()} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !slices.Contains([]string{".log", ".out"}, filepath.Ext(path)) {
				return err
			}
			data, err := os.ReadFile(path)
			for _, minted := range world.minted {
				if bytes.Contains(data, minted) {
					t.Errorf("%s holds a key", entry.Name())
				}
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
