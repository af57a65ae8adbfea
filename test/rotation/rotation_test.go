// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rotation rotates a key again and again while clients use it, and counts
// whom that cuts off: the real programs on a real control plane, with
//
//   - clients that read the key from a file, which a stand-in of the kubelet brings up
//     to date as late as a real one may,
//   - clients that read it once, from their environment, in pods of a real Deployment,
//     which the product restarts and kube-controller-manager rolls over; a stand-in of
//     the kubelet runs the pods.
//
// Nobody may ever be refused, and in the end nothing but the last key may be accepted.
package rotation

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/controllers"
	"github.com/hexcovery/apikey-operator/controllers/restart"
	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// The defaults take half a minute; make test-rotation has what is promised.
var (
	rotations = flag.Int("rotations", 8, "how many times the key is rotated")
	rate      = flag.Int("rate", 400, "requests per second, of all clients together")
	lag       = flag.Duration("lag", 6*time.Second, "how late files are brought up to date")
	pause     = flag.Duration("pause", time.Second, "from one rotation to the next trigger")
	idle      = flag.Duration("idle", 5*time.Second, "spec.rotation.overlap.idle")
	// A key that is replaced before everybody has heard of it comes into use, for those
	// who hear late, when it is retiring already: without min it would pass for unused.
	least = flag.Duration("min", 8*time.Second, "spec.rotation.overlap.min; more than files are late")
)

const (
	namespace = "rotating"
	// fileClients and podClients send half of the requests each.
	fileClients, podClients = 20, 20
)

// world is the product, and what uses it.
type world struct {
	*testing.T
	stack  *stack.Stack
	client client.WithWatch
	key    *v1alpha1.APIKey
	volume *volume
	node   *node
	load   *load
}

func newWorld(ctx context.Context, t *testing.T) *world {
	t.Helper()
	ctrl.SetLogger(logr.Discard())
	s, err := stack.Start(ctx, stack.Options{
		ControlPlane: controlplane.Options{Dir: t.TempDir()},
		AuthServers:  3, ManagerFlags: []string{"--usage-gather-interval=1s"}, Log: os.Stderr,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme, err := controllers.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	config := s.ControlPlane.Admin()
	config.QPS = -1
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	every := time.Duration(float64(time.Second) * (fileClients + podClients) / float64(*rate))
	w := &world{T: t, stack: s, client: c, load: newLoad(s.AuthServers, every), volume: &volume{lag: *lag}}
	w.node = &node{client: c, load: w.load, pods: map[types.UID]context.CancelFunc{}}
	w.key = w.mint(ctx)
	return w
}

// mint makes the tenant, and its key.
func (w *world) mint(ctx context.Context) *v1alpha1.APIKey {
	w.Helper()
	duration := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "fleet"},
		Spec: v1alpha1.APIKeySpec{
			OrganizationRef: v1alpha1.OrganizationReference{Name: "acme"},
			Rotation: v1alpha1.Rotation{
				Overlap: v1alpha1.Overlap{Min: duration(*least), Idle: duration(*idle), Max: duration(time.Hour)},
				Restart: v1alpha1.Restart{Policy: v1alpha1.RestartDetected},
			},
		},
	}
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&v1alpha1.Organization{
			ObjectMeta: metav1.ObjectMeta{Name: "acme"},
			Spec:       v1alpha1.OrganizationSpec{Namespaces: v1alpha1.NamespacePolicy{Selector: metav1.SetAsLabelSelector(labels.Set{corev1.LabelMetadataName: namespace})}},
		},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: restart.RestarterRole},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: restart.RestarterRole},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: stack.Namespace, Name: stack.ManagerAccount}},
		},
		key,
		consumers(namespace, key.SecretName(), podClients),
	} {
		if err := w.client.Create(ctx, obj); err != nil {
			w.Fatal(err)
		}
	}
	w.await(ctx, time.Minute, "the first key", func() bool {
		return key.Status.KeyID != "" && meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)
	}, key)
	return key
}

// await waits until condition holds of key, which it refreshes.
func (w *world) await(ctx context.Context, patience time.Duration, what string, condition func() bool, key *v1alpha1.APIKey) {
	w.Helper()
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		err := w.client.Get(ctx, client.ObjectKeyFromObject(key), key)
		return err == nil && condition(), err
	})
	if err != nil {
		w.Fatalf("%s: %v; %+v", what, err, key.Status)
	}
}

// change changes the key's spec.
func (w *world) change(ctx context.Context, f func(*v1alpha1.Rotation)) {
	w.Helper()
	before := w.key.DeepCopy()
	f(&w.key.Spec.Rotation)
	if err := w.client.Patch(ctx, w.key, client.MergeFrom(before)); err != nil {
		w.Fatal(err)
	}
}

// rotate has the key rotated, and waits until the Secret has another.
func (w *world) rotate(ctx context.Context) {
	w.Helper()
	id := w.key.Status.KeyID
	w.change(ctx, func(r *v1alpha1.Rotation) { r.RotateAfter = stack.RotateAfter(w.key) })
	// As long as too many keys still work it is put off.
	w.await(ctx, 5*time.Minute, "a rotation", func() bool { return w.key.Status.KeyID != id }, w.key)
}

// use has clients use the key until stop is called.
func (w *world) use(ctx context.Context) (stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(ctx)
	using, ctx := errgroup.WithContext(ctx)
	secret := client.ObjectKey{Namespace: namespace, Name: w.key.SecretName()}
	using.Go(func() error { return w.volume.follow(ctx, w.client, secret) })
	using.Go(func() error { return w.node.run(ctx, namespace) })
	err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		return w.volume.current.Load() != nil, nil
	})
	if err != nil {
		w.Fatalf("the volume: %v", err)
	}
	for i := range fileClients {
		using.Go(func() error {
			w.load.client(ctx, fmt.Sprintf("file client %d", i), func() string { return *w.volume.current.Load() })
			return nil
		})
	}
	return func() {
		w.Helper()
		cancel()
		if err := using.Wait(); err != nil {
			w.Error(err)
		}
	}
}

func TestRotationsInARow(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	w := newWorld(ctx, t)
	stop := w.use(ctx)
	began := time.Now()

	ticks := time.NewTicker(*pause)
	defer ticks.Stop()
	most := 0
	for range *rotations {
		<-ticks.C
		w.rotate(ctx)
		most = max(most, len(w.key.Status.Versions))
	}
	rotated := time.Since(began)
	w.await(ctx, 10*time.Minute, "the end of the last key that was replaced", func() bool {
		return len(w.key.Status.Versions) == 1 && meta.IsStatusConditionTrue(w.key.Status.Conditions, v1alpha1.ConditionRotated)
	}, w.key)
	took := time.Since(began)
	stop()

	tally := w.load.tally
	t.Logf("%d rotations in %.0f s, the last key that was replaced ended after %.0f s; at most %d versions at a time; %d pods started; files %s late",
		*rotations, rotated.Seconds(), took.Seconds(), most, w.node.started, *lag)
	t.Logf("requests=%d per_second=%.0f accepted=%d unauthorized=%d other=%d",
		tally.sent.Load(), float64(tally.sent.Load())/took.Seconds(), tally.accepted.Load(), tally.unauthorized.Load(), tally.other.Load())
	if tally.unauthorized.Load()+tally.other.Load() > 0 {
		t.Errorf("somebody was cut off: %q", tally.first)
	}
	if sent := float64(tally.sent.Load()) / took.Seconds(); sent < 0.9*float64(*rate) {
		t.Errorf("%.0f requests per second were sent, and %d were wanted", sent, *rate)
	}
	w.checkKeys(*rotations + 1)
}

// checkKeys checks that each auth server accepts the last key, and no other that there was.
func (w *world) checkKeys(want int) {
	w.Helper()
	keys := w.volume.keys()
	if len(keys) != want {
		w.Errorf("the Secret has held %d keys, want %d", len(keys), want)
	}
	accepted := 0
	for i, key := range keys {
		for _, server := range w.stack.AuthServers {
			status, err := w.load.ask("check", server, key)
			switch last := i == len(keys)-1; {
			case err != nil:
				w.Errorf("%s: %v", server.Name, err)
			case last && status != http.StatusOK:
				w.Errorf("%s refuses the last key: %d", server.Name, status)
			case !last && status != http.StatusUnauthorized:
				accepted++
				w.Errorf("%s answers %d to key %d of %d", server.Name, status, i+1, len(keys))
			}
		}
	}
	w.Logf("keys=%d retired_versions_accepted=%d", len(keys), accepted)
}

// TestClientsAreCutOffByHaste sees that the counting of the other test can count, and
// that whoever was hasty is told who is cut off.
func TestClientsAreCutOffByHaste(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	w := newWorld(ctx, t)
	stop := w.use(ctx)
	w.change(ctx, func(r *v1alpha1.Rotation) {
		r.Overlap.Min, r.Overlap.Max = &metav1.Duration{}, &metav1.Duration{Duration: *lag / 2}
	})
	old := w.key.Status.KeyID
	w.rotate(ctx)
	w.await(ctx, time.Minute, "the end of the old key", func() bool { return len(w.key.Status.Versions) == 1 }, w.key)
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, *lag, true, func(context.Context) (bool, error) {
		return w.load.tally.unauthorized.Load() > 0, nil
	})
	stop()
	if err != nil {
		t.Error("the old key was ended before files were brought up to date, and nobody was refused")
	}
	t.Logf("requests=%d unauthorized=%d", w.load.tally.sent.Load(), w.load.tally.unauthorized.Load())

	told := regexp.MustCompile(`^Key ` + old + ` is revoked .*used for [1-9][0-9]* requests: [1-9][0-9]* by original from 127\.0\.0\.1\.$`)
	w.awaitEvent(ctx, v1alpha1.EventRetiredInUse, told)
}

// awaitEvent waits for an event about the key that says what told describes.
func (w *world) awaitEvent(ctx context.Context, reason string, told *regexp.Regexp) {
	w.Helper()
	var notes []string
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		list := &eventsv1.EventList{}
		if err := w.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		notes = notes[:0]
		for i := range list.Items {
			if list.Items[i].Reason == reason {
				notes = append(notes, list.Items[i].Note)
			}
		}
		return slices.ContainsFunc(notes, told.MatchString), nil
	})
	if err != nil {
		w.Errorf("no event %s that says %s: %v, %q", reason, told, err, notes)
	}
	w.Logf("%s: %q", reason, notes)
}
