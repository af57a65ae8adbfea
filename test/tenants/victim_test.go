// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

const (
	// askInterval is how often each auth server is asked about the key that is used all
	// the time, and probeInterval about one that is about to be refused.
	askInterval   = 25 * time.Millisecond
	probeInterval = 2 * time.Millisecond
	// answerTimeout bounds one answer.
	answerTimeout = 5 * time.Second
	// toldAbout bounds how many disturbances are kept.
	toldAbout = 20
)

// victim is a tenant that does nothing wrong, and has a key in use.
type victim struct {
	*tenant
	// soon is how soon a key is refused: a second, on a machine that is not slower than
	// that by itself.
	soon time.Duration

	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	excused  map[*stack.Process]int
	problems []string
}

// newVictim makes a tenant whose key is used, until stop.
func newVictim(ctx context.Context) *victim {
	GinkgoHelper()
	v := &victim{tenant: newPermitted(ctx), excused: map[*stack.Process]int{}, soon: second}
	_, plaintext := v.mint(ctx, "in-use", "")
	calm := v.life(ctx)
	v.soon = max(second, 10*max(calm.suspended, calm.deleted))
	fmt.Fprintf(os.Stderr, "tenants: undisturbed, a suspended key is refused after %s, a deleted one after %s, a new one is Ready after %s\n",
		calm.suspended.Round(time.Millisecond), calm.deleted.Round(time.Millisecond), calm.ready.Round(time.Millisecond))
	var using context.Context
	using, v.cancel = context.WithCancel(context.Background())
	for _, server := range product.AuthServers {
		v.running.Go(func() { v.use(using, server, plaintext) })
	}
	return v
}

func (v *victim) stop() {
	v.cancel()
	v.running.Wait()
}

// use asks one auth server about the key, again and again.
func (v *victim) use(ctx context.Context, server *stack.AuthServer, plaintext string) {
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if v.excusedNow(server) {
			continue
		}
		status, organization, err := ask(ctx, server, plaintext)
		if status == http.StatusOK && organization == v.organization || ctx.Err() != nil {
			continue
		}
		v.mu.Lock()
		if v.excused[server.Process] == 0 && len(v.problems) < toldAbout {
			v.problems = append(v.problems, fmt.Sprintf("%s: %s answers %d for %q, %v", time.Now().Format(time.TimeOnly), server.Name, status, organization, err))
		}
		v.mu.Unlock()
	}
}

func (v *victim) excusedNow(server *stack.AuthServer) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.excused[server.Process] > 0
}

// excuse has no answer be expected of programs that are about to end, until done is called.
func (v *victim) excuse(processes ...*stack.Process) (done func()) {
	change := func(by int) {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, process := range processes {
			v.excused[process] += by
		}
	}
	change(1)
	return func() { change(-1) }
}

func (v *victim) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.problems = nil
}

// disturbances are the answers but 200 to the key in use.
func (v *victim) disturbances() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.problems)
}

// awaitServed waits until the key in use is accepted everywhere, and forgets what was before.
func (v *victim) awaitServed(ctx context.Context) {
	GinkgoHelper()
	key := v.key("in-use", "")
	awaitAccepted(ctx, plaintextOf(ctx, key))
	v.forget()
}

// times are how long the steps of a life take.
type times struct {
	ready, suspended, deleted time.Duration
}

// live goes through what people do with keys, and fails where it does not work as promised.
func (v *victim) live(ctx context.Context) {
	GinkgoHelper()
	took := v.life(ctx)
	Expect(took.suspended).To(BeNumerically("<=", v.soon), "a suspended key is accepted for too long")
	Expect(took.deleted).To(BeNumerically("<=", v.soon), "a deleted key is accepted for too long")
}

// life makes two keys, suspends one, deletes the other, and says how long that took.
func (v *victim) life(ctx context.Context) (took times) {
	GinkgoHelper()
	began := time.Now()
	name := "key-" + rand.String(6)
	suspended, deleted := v.key(name+"-suspended", ""), v.key(name+"-deleted", "")
	for _, key := range []*unstructured.Unstructured{suspended, deleted} {
		Expect(v.as.Create(ctx, key)).To(Succeed())
	}
	awaitServing(ctx, suspended)
	awaitServing(ctx, deleted)
	took.ready = time.Since(began)

	plaintext := plaintextOf(ctx, suspended)
	awaitAccepted(ctx, plaintext)
	Expect(patch(ctx, v.as, suspended, `{"spec":{"suspend":true}}`)).To(Succeed())
	took.suspended = refused(ctx, plaintext)

	plaintext = plaintextOf(ctx, deleted)
	awaitAccepted(ctx, plaintext)
	Expect(v.as.Delete(ctx, deleted.DeepCopy())).To(Succeed())
	took.deleted = refused(ctx, plaintext)
	awaitGone(ctx, deleted)
	awaitReason(ctx, suspended, "Registered", "Revoked")
	Expect(v.as.Delete(ctx, suspended)).To(Succeed())
	return took
}

// ask has an auth server judge a request with a key, and returns its answer and the
// organization that it names.
func ask(ctx context.Context, server *stack.AuthServer, plaintext string) (status int, organization string, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	question, err := server.Question(ctx, http.MethodPost, "/api/v1/dsl", plaintext)
	if err != nil {
		return 0, "", err
	}
	answer, err := http.DefaultClient.Do(question)
	if err != nil {
		return 0, "", err
	}
	return answer.StatusCode, answer.Header.Get("X-Scope-OrgID"), answer.Body.Close()
}

// awaitAccepted waits until every auth server accepts the key.
func awaitAccepted(ctx context.Context, plaintext string) {
	GinkgoHelper()
	for _, server := range product.AuthServers {
		Eventually(func() (int, error) {
			status, _, err := ask(ctx, server, plaintext)
			return status, err
		}).Should(Equal(http.StatusOK), server.Name)
	}
}

const (
	// patience is how long is waited for a refusal, to say how late it was.
	patience = 5 * time.Second
	// doubt is how long an auth server may answer 503 that could not watch for some
	// seconds: until it has made sure of what it has missed (docs/revocation.md).
	doubt = 90 * time.Second
)

// refused waits until no auth server accepts the key any more, and says how long after
// the call that was. Each has to answer 401 in the end: one that has just lost its
// connection may answer 503 before.
func refused(ctx context.Context, plaintext string) time.Duration {
	GinkgoHelper()
	began := time.Now()
	var longest time.Duration
	for _, server := range product.AuthServers {
		for {
			status, _, err := ask(ctx, server, plaintext)
			Expect(err).NotTo(HaveOccurred())
			if status != http.StatusOK {
				break
			}
			if time.Since(began) > max(patience, bystanders.bound()) {
				Fail(fmt.Sprintf("%s accepts the key after %s", server.Name, time.Since(began).Round(time.Millisecond)), 1)
			}
			pause(ctx, probeInterval)
		}
		longest = time.Since(began)
	}
	for _, server := range product.AuthServers {
		Eventually(func() int {
			status, _, _ := ask(ctx, server, plaintext)
			Expect(status).NotTo(Equal(http.StatusOK), "%s accepts the key again", server.Name)
			return status
		}).WithTimeout(doubt).Should(Equal(http.StatusUnauthorized), server.Name)
	}
	return longest
}

// refusedSoon is refused for what has to be so within a second.
func refusedSoon(ctx context.Context, plaintext string) {
	GinkgoHelper()
	Expect(refused(ctx, plaintext)).To(BeNumerically("<=", bystanders.bound()), "the key is accepted for too long")
}

// bound is soon, or a second while nothing was measured.
func (v *victim) bound() time.Duration {
	if v == nil {
		return second
	}
	return v.soon
}

// neverAccepted fails if an auth server accepts the key within this time.
func neverAccepted(ctx context.Context, plaintext string, within time.Duration) {
	GinkgoHelper()
	for began := time.Now(); time.Since(began) < within; pause(ctx, askInterval) {
		for _, server := range product.AuthServers {
			status, organization, err := ask(ctx, server, plaintext)
			Expect(err).NotTo(HaveOccurred())
			Expect(status).NotTo(Equal(http.StatusOK), "%s accepts the key, for %q", server.Name, organization)
		}
	}
}

// pause waits between two questions.
func pause(ctx context.Context, lasts time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(lasts):
	}
}
