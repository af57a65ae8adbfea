// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/usage"
	"github.com/hexcovery/apikey-operator/internal/usage/serve"
)

// fakeMembers are the auth servers that a list shows.
type fakeMembers struct {
	usageSources []registry.UsageSource
	clock        clock.PassiveClock
	err          error
}

func (m *fakeMembers) UsageSources(context.Context, time.Time) ([]registry.UsageSource, time.Time, error) {
	return m.usageSources, m.clock.Now(), m.err
}

// fakeTokens gives out good, until that is dropped.
type fakeTokens struct {
	mu      sync.Mutex
	token   string
	given   int
	dropped []string
}

func (f *fakeTokens) Token(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.given++
	if f.token == "" {
		f.token = "good"
	}
	return f.token, nil
}

func (f *fakeTokens) Drop(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropped = append(f.dropped, token)
	f.token = ""
}

// fakeKeys is a cache of APIKeys.
type fakeKeys struct {
	client.Reader
	keys map[types.UID]*v1alpha1.APIKey
}

func (f *fakeKeys) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	for _, key := range f.keys {
		list.(*v1alpha1.APIKeyList).Items = append(list.(*v1alpha1.APIKeyList).Items, *key)
	}
	return nil
}

// world is a Gatherer with what it needs.
type world struct {
	*Gatherer

	members *fakeMembers
	tokens  *fakeTokens
	keys    *fakeKeys
	clock   *testingclock.FakeClock
	woken   []string
}

func newWorld(keys ...*v1alpha1.APIKey) *world {
	clock := testingclock.NewFakeClock(epoch)
	w := &world{clock: clock, members: &fakeMembers{clock: clock}, tokens: &fakeTokens{}, keys: &fakeKeys{keys: map[types.UID]*v1alpha1.APIKey{}}}
	for _, key := range keys {
		w.keys.keys[key.UID] = key
	}
	w.lead()
	return w
}

// lead has a new leader gather.
func (w *world) lead() {
	w.Gatherer = New(Config{
		Members: w.members, Tokens: w.tokens, Keys: w.keys, Ledger: NewLedger(w.clock, time.Hour), Interval: 15 * time.Second, Clock: w.clock,
	})
	w.Wake(func(name types.NamespacedName) { w.woken = append(w.woken, name.Name) })
}

// gatherAll steps the clock and makes a round.
func (w *world) gatherAll(t testing.TB) {
	t.Helper()
	w.clock.Step(15 * time.Second)
	if err := w.round(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// replica is the auth server's end, on a real socket.
type replica struct {
	usageSource registry.UsageSource
	table       *usage.Table
	server      *serve.Server
	// finished is closed when the Lease would say that the counts are final.
	finished chan struct{}
	handed   chan struct{}
	stop     context.CancelFunc
	// reached counts the requests that got through TLS.
	mu      sync.Mutex
	reached []string
}

// reviewed lets the token "good" in, as the API server's reviews would.
func (r *replica) reviewed(_ logr.Logger, handler http.Handler) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		r.reached = append(r.reached, request.Header.Get("Authorization"))
		r.mu.Unlock()
		switch request.Header.Get("Authorization") {
		case "Bearer good":
			handler.ServeHTTP(w, request)
		case "Bearer weak":
			w.WriteHeader(http.StatusForbidden)
		case "Bearer":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}), nil
}

func startReplica(t testing.TB, name, process string) *replica {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	certificate, pin, err := serve.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{
		usageSource: registry.UsageSource{Name: name, Process: process, Address: listener.Addr().String(), Pin: pin},
		table:       usage.NewTable(clock.RealClock{}), finished: make(chan struct{}), handed: make(chan struct{}),
	}
	r.server, err = serve.New(serve.Config{
		Table: r.table, Process: process, Finish: func() { close(r.finished) },
		Listener: listener, Certificate: certificate, Filter: r.reviewed, HandOverTimeout: time.Minute,
		Clock: clock.RealClock{}, Log: logr.Discard(), Connections: serving.NewMetrics(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.server.Run(ctx) }()
	r.stop = func() { stop(); <-done }
	t.Cleanup(r.stop)
	return r
}

// use counts a few requests.
func (r *replica) use(name string, requests int) {
	c := r.table.Hold(types.UID(name), "k", false)
	for range requests {
		c.Count(time.Now())
	}
}

// handOver begins to hand over.
func (r *replica) handOver(ctx context.Context) {
	go func() { defer close(r.handed); r.server.HandOver(ctx) }()
	<-r.finished
	r.usageSource.Final = true
}

func (w *world) show(replicas ...*replica) {
	w.members.usageSources = nil
	for _, r := range replicas {
		w.members.usageSources = append(w.members.usageSources, r.usageSource)
	}
}

// releaseAll asks those that are about to go.
func (w *world) releaseAll(t testing.TB) error {
	var asking errgroup.Group
	err := w.release(t.Context(), &asking)
	return errors.Join(err, asking.Wait())
}

func (w *world) requests() int64 { return requestsOf(w.Ledger, "a") }

func TestGathering(t *testing.T) {
	w := newWorld(keyOf("a", v1alpha1.VersionActive), keyOf("idle", v1alpha1.VersionActive))
	if coverage := w.Coverage(); !coverage.Until.IsZero() {
		t.Fatalf("%+v", coverage)
	}
	r1, r2 := startReplica(t, "one", "p1"), startReplica(t, "two", "p2")
	w.show(r1, r2)
	r1.use("a", 3)
	r2.use("a", 4)
	w.gatherAll(t)
	if w.requests() != 7 || !slices.Equal(w.woken, []string{"a"}) {
		t.Errorf("%d requests, woken: %v", w.requests(), w.woken)
	}
	first := w.clock.Now()
	if coverage := w.Coverage(); !coverage.Until.Equal(first) || !coverage.LastGap.Equal(first) {
		t.Errorf("a new leader: %+v", coverage)
	}
	write(w.Ledger, w.keys.keys["a"])
	r1.use("a", 1)
	w.gatherAll(t)
	if w.requests() != 8 || len(w.woken) != 1 {
		t.Errorf("%d requests, woken: %v", w.requests(), w.woken)
	}
	if coverage := w.Coverage(); !coverage.Until.Equal(w.clock.Now()) || !coverage.LastGap.Equal(first) {
		t.Errorf("%+v", coverage)
	}

	// The next leader knows what auth servers know, and does not know what may be missing.
	used := w.Use("a", "k").LastUsed
	w.lead()
	if w.Book().Observe(w.keys.keys["a"]); w.Use("a", "k").LastUsed.IsZero() {
		t.Error("the next leader does not know what is in the status")
	}
	w.gatherAll(t)
	if got, coverage := w.Use("a", "k").LastUsed, w.Coverage(); w.requests() != 8 || got.Before(used) || !coverage.LastGap.Equal(w.clock.Now()) {
		t.Errorf("the next leader has %d requests, the last at %s, not at %s; %+v", w.requests(), got, used, coverage)
	}
}

func TestWhatCannotBeAskedIsNotCovered(t *testing.T) {
	w := newWorld()
	r1, r2 := startReplica(t, "one", "p1"), startReplica(t, "two", "p2")
	silent := &replica{usageSource: registry.UsageSource{Name: "old", Process: "p0"}}
	w.show(r1, silent)
	w.gatherAll(t)
	if coverage := w.Coverage(); !coverage.Until.IsZero() {
		t.Fatalf("one that tells nothing: %+v", coverage)
	}
	w.show(r1)
	w.gatherAll(t)
	covered := w.clock.Now()
	r2.stop()
	w.show(r1, r2)
	w.gatherAll(t)
	// It has counted since the list before at the earliest.
	if coverage := w.Coverage(); !coverage.Until.Equal(covered) {
		t.Errorf("one that is new and cannot be asked: %+v", coverage)
	}
	w.members.err = errors.New("no API server")
	w.clock.Step(time.Minute)
	if err := w.round(t.Context()); err == nil || !w.Coverage().Until.Equal(covered) {
		t.Errorf("%v, %+v", err, w.Coverage())
	}
}

func TestAnEndWithoutAHandOverIsAGap(t *testing.T) {
	w := newWorld(keyOf("a", v1alpha1.VersionActive))
	r1 := startReplica(t, "one", "p1")
	w.show(r1)
	r1.use("a", 3)
	w.gatherAll(t)
	gap := func(why string) {
		t.Helper()
		if coverage := w.Coverage(); !coverage.LastGap.Equal(w.clock.Now()) {
			t.Errorf("%s: %+v", why, coverage)
		}
	}
	w.gatherAll(t)
	// The container was started again in the same pod: another process has the Lease.
	r1.stop()
	again := startReplica(t, "one", "p1-again")
	again.use("a", 2)
	w.show(again)
	w.gatherAll(t)
	gap("another process")
	if w.requests() != 5 {
		t.Errorf("%d requests: one process was taken for the other", w.requests())
	}
	w.gatherAll(t)
	if w.Coverage().LastGap.Equal(w.clock.Now()) {
		t.Error("one gap was taken for two")
	}
	w.show(again)
	w.members.usageSources[0].Fenced = true
	w.gatherAll(t)
	gap("fenced")
	w.gatherAll(t)
	if coverage := w.Coverage(); coverage.LastGap.Equal(w.clock.Now()) || !coverage.Until.Equal(w.clock.Now()) {
		t.Errorf("nobody is live: %+v", coverage)
	}
	w.show(again)
	w.gatherAll(t)
	if w.requests() != 5 {
		t.Errorf("one that came back was counted again: %d", w.requests())
	}
	// Its Lease was deleted, which is seen before the next list; and one that no list has shown.
	for _, process := range []string{"p1-again", "short-lived"} {
		w.clock.Step(time.Second)
		w.leaseGone(toolscache.DeletedFinalStateUnknown{Obj: leaseOf("one", process)})
		gap(process)
	}
	if got := values(t, w.metrics.gaps); got[0] != "apikey_usage_gaps_total{} 4" {
		t.Error(got)
	}
	// It is back, with the counts that it had.
	w.show(again)
	again.use("a", 1)
	w.gatherAll(t)
	if w.requests() != 6 {
		t.Errorf("%d requests", w.requests())
	}
}

func leaseOf(name, process string) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To(process + "_3")},
	}
}

// The container of one pod is started again and again, and no list is made in between.
func TestAProcessThatNoListHasShownLeavesAGap(t *testing.T) {
	lease := func(process string, transitions int32) *coordinationv1.Lease {
		l := leaseOf("one", process)
		l.UID, l.Spec.LeaseTransitions = "1", ptr.To(transitions)
		return l
	}
	anew := func(process string, transitions int32) *coordinationv1.Lease {
		l := lease(process, transitions)
		l.UID = "2"
		return l
	}
	for name, test := range map[string]struct {
		// updates follow the first, which is of p1.
		updates []*coordinationv1.Lease
		handed  bool
		gaps    int
	}{
		"renewed":                       {[]*coordinationv1.Lease{lease("p1", 0), lease("p1", 1)}, false, 0},
		"taken":                         {[]*coordinationv1.Lease{lease("p2", 1)}, false, 1},
		"handed over":                   {[]*coordinationv1.Lease{lease("p2", 1)}, true, 0},
		"handed over, then taken":       {[]*coordinationv1.Lease{lease("p2", 1), lease("p2", 1), lease("p3", 2)}, true, 1},
		"the watch was interrupted":     {[]*coordinationv1.Lease{lease("p3", 2)}, true, 1},
		"the Lease was made anew":       {[]*coordinationv1.Lease{anew("p2", 0)}, true, 0},
		"it was made anew, and taken":   {[]*coordinationv1.Lease{anew("p3", 1)}, true, 1},
		"taken, and seen to be so once": {[]*coordinationv1.Lease{lease("p2", 1), lease("p2", 1)}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			leases := &informertest.FakeInformers{}
			w.Leases = leases
			unfollow, err := w.follow(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer unfollow()
			informer, err := leases.FakeInformerFor(t.Context(), &coordinationv1.Lease{})
			if err != nil {
				t.Fatal(err)
			}
			w.dial = func(string, string) (asker, error) {
				return direct{table: usage.NewTable(w.clock), final: ptr.To(test.handed)}, nil
			}
			w.members.usageSources = []registry.UsageSource{{Name: "one", Process: "p1", Address: "1", Final: test.handed}}
			w.gatherAll(t)
			w.clock.Step(time.Second)
			last := lease("p1", 0)
			for _, next := range test.updates {
				informer.Update(last, next)
				last = next
			}
			if got, want := values(t, w.metrics.gaps)[0], fmt.Sprint("apikey_usage_gaps_total{} ", test.gaps); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if at := w.Coverage().LastGap; at.Equal(w.clock.Now()) != (test.gaps > 0) {
				t.Errorf("the last gap was at %s", at)
			}
		})
	}
}

func TestAHandOverIsNoGap(t *testing.T) {
	w := newWorld(keyOf("a", v1alpha1.VersionActive))
	r1, r2 := startReplica(t, "one", "p1"), startReplica(t, "two", "p2")
	w.show(r1, r2)
	w.gatherAll(t)
	first := w.clock.Now()
	r1.use("a", 9)
	r1.handOver(t.Context())
	w.show(r1, r2)
	w.leaseChanged(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"auth.hexcovery.io/usage-final": "true"}}})
	if len(w.kicks) != 1 {
		t.Fatal("nobody was woken")
	}
	w.clock.Step(time.Second)
	if err := w.releaseAll(t); err != nil {
		t.Fatal(err)
	}
	<-r1.handed
	if w.requests() != 9 {
		t.Errorf("%d requests", w.requests())
	}
	if got := len(r2.reached); got != 1 {
		t.Errorf("the other one was asked %d times", got)
	}
	w.leaseGone(leaseOf("one", "p1"))
	w.show(r2)
	w.gatherAll(t)
	if coverage := w.Coverage(); !coverage.LastGap.Equal(first) || !coverage.Until.Equal(w.clock.Now()) {
		t.Errorf("%+v", coverage)
	}
	for range 60 {
		w.gatherAll(t)
	}
	if len(w.usageSources) != 1 || w.requests() != 9 {
		t.Errorf("%d are remembered, %d requests", len(w.usageSources), w.requests())
	}
}

// Its Lease says so while a round asks it, and what it answers to that is not final yet.
func TestWhoIsAskedAlreadyIsAskedAgain(t *testing.T) {
	w := newWorld(keyOf("a", v1alpha1.VersionActive))
	asked, answer, final := make(chan struct{}), make(chan struct{}), new(bool)
	table := usage.NewTable(w.clock)
	w.dialling(map[string]asker{"one": askerFunc(func(ctx context.Context, q *usage.Question) (*usage.Answer, error) {
		found, err := direct{table: table, final: final}.ask(ctx, "", q)
		asked <- struct{}{}
		<-answer
		return found, err
	})})
	var round sync.WaitGroup
	round.Go(func() { _ = w.round(t.Context()) })
	<-asked
	w.leave("one")
	if err := w.releaseAll(t); err != nil {
		t.Fatal(err)
	}
	answer <- struct{}{}
	round.Wait()
	select {
	case <-w.kicks:
	default:
		t.Error("nobody asks it before the next round, and it waits")
	}
}

// A manager that has not taken the last page must not let an auth server go.
func TestAHandOverTakesEveryPage(t *testing.T) {
	w := newWorld()
	r := startReplica(t, "one", "p1")
	const versions = 2*usage.MaxVersions + 5
	for i := range versions {
		name := fmt.Sprint(i)
		w.keys.keys[types.UID(name)] = keyOf(name, v1alpha1.VersionActive)
		r.use(name, 2)
	}
	r.handOver(t.Context())
	w.show(r)
	w.gatherAll(t)
	<-r.handed
	var total int64
	for i := range versions {
		total += requestsOf(w.Ledger, fmt.Sprint(i))
	}
	if total != 2*versions {
		t.Errorf("%d of %d", total, 2*versions)
	}
}

func TestHandOverWithoutAManager(t *testing.T) {
	unused := startReplica(t, "one", "p1")
	unused.server.HandOver(t.Context()) // returns at once: nobody was counted, nobody has asked
	used := startReplica(t, "two", "p2")
	used.use("a", 3)
	ctx, cancel := context.WithCancel(t.Context())
	used.handOver(ctx)
	cancel() // or the timeout
	<-used.handed
}

func TestOnlyWhomTheLeaseNamesIsToldTheToken(t *testing.T) {
	r := startReplica(t, "one", "p1")
	r.use("a", 3)
	for name, change := range map[string]func(*registry.UsageSource){
		"another pin":        func(t *registry.UsageSource) { t.Pin = strings.Repeat("0", 64) },
		"no pin":             func(t *registry.UsageSource) { t.Pin = "" },
		"half a pin":         func(t *registry.UsageSource) { t.Pin = t.Pin[:32] },
		"a name, no address": func(t *registry.UsageSource) { t.Address = strings.Replace(t.Address, "127.0.0.1", "localhost", 1) },
		"a URL":              func(t *registry.UsageSource) { t.Address += "/x" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(keyOf("a", v1alpha1.VersionActive))
			other := r.usageSource
			change(&other)
			w.members.usageSources = []registry.UsageSource{other}
			w.gatherAll(t)
			if coverage := w.Coverage(); w.requests() != 0 || !coverage.Until.IsZero() {
				t.Errorf("%d requests, %+v", w.requests(), coverage)
			}
		})
	}
	if len(r.reached) != 0 {
		t.Errorf("%v reached it", r.reached)
	}
	t.Run("another process", func(t *testing.T) {
		w := newWorld(keyOf("a", v1alpha1.VersionActive))
		other := r.usageSource
		other.Process = "p2"
		w.members.usageSources = []registry.UsageSource{other}
		w.gatherAll(t)
		if w.requests() != 0 || !w.Coverage().Until.IsZero() {
			t.Errorf("%d requests, %+v", w.requests(), w.Coverage())
		}
	})
}

func TestOnlyWhoMayIsTold(t *testing.T) {
	r := startReplica(t, "one", "p1")
	r.use("a", 3)
	w := newWorld(keyOf("a", v1alpha1.VersionActive))
	w.show(r)
	w.tokens.token = "weak"
	w.gatherAll(t)
	if w.requests() != 0 || !w.Coverage().Until.IsZero() || len(w.tokens.dropped) != 0 {
		t.Errorf("%d requests, %+v", w.requests(), w.Coverage())
	}
	w.tokens.token = "old"
	w.gatherAll(t)
	if w.requests() != 3 || !slices.Equal(w.tokens.dropped, []string{"old"}) {
		t.Errorf("%d requests, dropped %v", w.requests(), w.tokens.dropped)
	}
	caller, err := newCaller(r.usageSource.Address, r.usageSource.Pin)
	if err != nil {
		t.Fatal(err)
	}
	var status *statusError
	if _, err := caller.ask(t.Context(), "", &usage.Question{Process: "p1"}); !errors.As(err, &status) || status.code != http.StatusUnauthorized {
		t.Errorf("without a token: %v", err)
	}
}

// Whoever has the certificate and the wrong answers is not believed.
func TestAnswersAreChecked(t *testing.T) {
	long := strings.Repeat("x", maxText+1)
	for name, answer := range map[string]string{
		"the same again":  `{"process":"p1","more":true,"versions":[{"uid":"u","keyID":"k"}]}`,
		"one before":      `{"process":"p1","more":true,"versions":[{"uid":"u","keyID":"j"}]}`,
		"twice":           `{"process":"p1","versions":[{"uid":"v","keyID":"k"},{"uid":"v","keyID":"k"}]}`,
		"out of order":    `{"process":"p1","versions":[{"uid":"w","keyID":"k"},{"uid":"v","keyID":"k"}]}`,
		"a long UID":      `{"process":"p1","versions":[{"uid":"v` + long + `","keyID":"k"}]}`,
		"a long key ID":   `{"process":"p1","versions":[{"uid":"v","keyID":"` + long + `"}]}`,
		"a long endpoint": `{"process":"p1","versions":[{"uid":"v","keyID":"k","sources":[{"endpoint":"` + long + `","requests":1}]}]}`,
		"a long gateway":  `{"process":"p1","versions":[{"uid":"v","keyID":"k","sources":[{"gateway":"` + long + `","requests":1}]}]}`,
		"many sources":    `{"process":"p1","versions":[{"uid":"v","keyID":"k","sources":[` + strings.Repeat(`{},`, usage.MaxOrigins+1) + `{}]}]}`,
		"less than none":  `{"process":"p1","versions":[{"uid":"v","keyID":"k","requests":-1}]}`,
		"too many to add": `{"process":"p1","versions":[{"uid":"v","keyID":"k","requests":9000000000000000000}]}`,
		"a vast source":   `{"process":"p1","versions":[{"uid":"v","keyID":"k","sources":[{"requests":9000000000000000000}]}]}`,
		"another process": `{"process":"p2"}`,
		"no JSON":         `<html>`,
		"more of nothing": `{"process":"p1","more":true}`,
		"too long":        `{"process":"p1","pad":"` + strings.Repeat("x", usage.MaxAnswerBytes) + `"}`,
		"too many":        `{"process":"p1","versions":[` + strings.Repeat(`{},`, usage.MaxVersions) + `{}]}`,
	} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		caller := callerOf(t, server)
		after := &usage.ID{UID: "u", KeyID: "k"}
		if _, err := caller.ask(t.Context(), "good", &usage.Question{Process: "p1", After: after}); err == nil {
			t.Errorf("%s is believed", name)
		}
		server.Close()
	}
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	if _, err := callerOf(t, server).ask(t.Context(), "good", &usage.Question{Process: "p1"}); err == nil || len(asked) != 1 {
		t.Errorf("a redirect was followed: %v, %v", asked, err)
	}
}

func callerOf(t *testing.T, server *httptest.Server) asker {
	t.Helper()
	caller, err := newCaller(server.Listener.Addr().String(), pinOf(server.Certificate().Raw))
	if err != nil {
		t.Fatal(err)
	}
	return caller
}

func TestStartGathersAtOnceAndWhenSomebodyGoes(t *testing.T) {
	w := newWorld(keyOf("a", v1alpha1.VersionActive))
	r := startReplica(t, "one", "p1")
	r.use("a", 1)
	w.show(r)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	await := func(requests int64) {
		t.Helper()
		for w.requests() != requests && t.Context().Err() == nil {
			w.clock.Step(time.Millisecond)
		}
	}
	await(1)
	r.use("a", 1)
	for !w.clock.HasWaiters() {
		runtime.Gosched()
	}
	w.clock.Step(18 * time.Second)
	await(2)
}
