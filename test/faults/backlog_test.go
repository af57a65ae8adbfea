// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/process"
)

var backlogKeys = flag.Int("backlog.keys", 400, "how many APIKeys wait when the leading manager restarts")

const (
	// backlogName is the namespace of those that wait, and their Organization.
	backlogName = "backlog"
	// The leader does not lose its leadership because the machine is busy: a restart that
	// nobody asked for begins to count a silence anew. So it takes as long until the next one
	// leads, and a silence has to be counted before that.
	longLeaseDuration = 4 * time.Second
	longRenewDeadline = 3 * time.Second
	// elected is when a manager leads at the latest that starts after the leader was killed.
	elected = longLeaseDuration + 2*retryPeriod
	// soon is what an end may take that nobody is waited for, on a machine that is busy.
	soon = 5 * time.Second
	// waitingKeys is how many wait for the auth server that is frozen before the leader is
	// killed.
	waitingKeys = 20
	// creators is how many APIKeys are created at the same time.
	creators = 16
	// backlogPoll is how often something is asked that takes more than a moment.
	backlogPoll = 50 * time.Millisecond
)

// A leader that restarts reads every APIKey, and looks at each. What is new, and whatever
// ends, comes before those.
var _ = Describe("A leading manager that restarts while many APIKeys wait", Ordered, ContinueOnFailure, func() {
	if *withMutants {
		return
	}
	var only *machine

	BeforeAll(func(ctx SpecContext) {
		only = leadAlone(ctx)
		for _, object := range []client.Object{
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: backlogName}},
			&v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: backlogName}, Spec: permitting(backlogName)},
		} {
			Expect(product.admin.Create(ctx, object)).To(Succeed())
		}
		DeferCleanup(emptyBacklog, NodeTimeout(10*time.Minute))
	}, NodeTimeout(time.Minute))

	It("reports an end that was asked for before when the auth server is fenced that is frozen", func(ctx SpecContext) {
		key := mintAlone(ctx, "ends-before")
		var created, killed, started time.Duration
		Expect(only.restart(ctx, 0, func() { created = fillBacklog(ctx) })).To(Succeed())
		awaitLeading(ctx)
		frozen := product.stack.AuthServers[0]
		Expect(frozen.Pause()).To(Succeed())
		DeferCleanup(frozen.Resume)
		frozenAt := time.Now()
		Expect(product.admin.Delete(ctx, key.DeepCopy())).To(Succeed())
		Eventually(backlog).WithContext(ctx).WithArguments(waitingKeys, isPending).WithPolling(backlogPoll).
			Should(BeNumerically(">=", waitingKeys))
		Expect(only.restart(ctx, 0, func() { killed = time.Since(frozenAt) })).To(Succeed())
		started = time.Since(frozenAt)
		gone := awaitGone(ctx, key, 3*countedOut+soon).Sub(frozenAt)
		fmt.Fprintf(os.Stdout, "faults: backlog of %d keys, created in %.1f s: the leader was killed %.2f s after an auth server was frozen, "+
			"and ready again at %.2f s; an end that was asked for before was reported at %.2f s (bound %.0f s)\n",
			*backlogKeys, created.Seconds(), killed.Seconds(), started.Seconds(), gone.Seconds(), (countedOut + soon).Seconds())
		Expect(gone).To(BeNumerically(">=", staleness-renewal), "reported before it is fenced")
		Expect(gone).To(BeNumerically("<=", countedOut+soon))
	}, NodeTimeout(10*time.Minute))

	It("reports an end within seconds where nobody is frozen, before it has looked at most of the others", func(ctx SpecContext) {
		before, after := mintAlone(ctx, "ends-at-start"), mintAlone(ctx, "ends-when-it-leads")
		var killedAt time.Time
		Expect(only.restart(ctx, 0, func() {
			killedAt = time.Now()
			// Each of them has to be written then.
			suspended := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`))
			Expect(product.admin.Patch(ctx, &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: backlogName}}, suspended)).To(Succeed())
		})).To(Succeed())
		started := time.Since(killedAt)
		Expect(product.admin.Delete(ctx, before.DeepCopy())).To(Succeed())
		awaitLeading(ctx)
		leads := time.Now()
		Expect(product.admin.Delete(ctx, after.DeepCopy())).To(Succeed())
		first, second := awaitGone(ctx, before, soon), awaitGone(ctx, after, soon)
		left := *backlogKeys - backlog(ctx, 0, isWithdrawn)
		fmt.Fprintf(os.Stdout, "faults: backlog of %d keys: the leader was killed, ready again after %.2f s, and led after %.2f s; "+
			"an end that was asked for at its start was reported within %.0f ms from then, another that was asked for then within %.0f ms; "+
			"%d keys had not been written by then\n", *backlogKeys, started.Seconds(), leads.Sub(killedAt).Seconds(),
			1000*first.Sub(leads).Seconds(), 1000*second.Sub(leads).Seconds(), left)
		Expect(left).To(BeNumerically(">", *backlogKeys/2), "the ends have waited for others")
	}, NodeTimeout(10*time.Minute))
})

// leadAlone ends all managers but one, which is started again when it ends, until the specs
// of this container have ended.
func leadAlone(ctx context.Context) *machine {
	GinkgoHelper()
	only, others := product.managers[0], product.managers[1:]
	for _, other := range others {
		// It may have ended by itself.
		Expect(other.Kill()).To(Succeed())
		DeferCleanup(func(ctx SpecContext) error { return other.start(ctx) })
	}
	var before process.Launch
	only.Change(func(l *process.Launch) {
		before = *l
		l.Args = append(l.Args,
			fmt.Sprintf("--leader-elect-lease-duration=%s", longLeaseDuration), fmt.Sprintf("--leader-elect-renew-deadline=%s", longRenewDeadline))
	})
	DeferCleanup(func(ctx SpecContext) error {
		return only.restart(ctx, 0, func() { only.Change(func(l *process.Launch) { *l = before }) })
	})
	keeping, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var kept sync.WaitGroup
	kept.Go(func() { only.keep(keeping) })
	DeferCleanup(func() {
		cancel()
		kept.Wait()
	})
	return only
}

func permitting(name string) v1alpha1.OrganizationSpec {
	selector := metav1.SetAsLabelSelector(labels.Set{corev1.LabelMetadataName: name})
	return v1alpha1.OrganizationSpec{Namespaces: v1alpha1.NamespacePolicy{Selector: selector}}
}

// awaitLeading waits until the only manager leads, and so has begun to work.
func awaitLeading(ctx context.Context) {
	GinkgoHelper()
	Eventually(leads).WithContext(ctx).WithArguments(product.stack.Managers[0]).
		WithTimeout(elected + soon).WithPolling(backlogPoll).Should(BeTrue())
}

// mintAlone makes a key that is not in the backlog, nor one that users ask about.
func mintAlone(ctx context.Context, name string) *v1alpha1.APIKey {
	GinkgoHelper()
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: organization}},
	}
	Expect(product.admin.Create(ctx, key)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(product.admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		g.Expect(key.Status.KeyID).NotTo(BeEmpty())
	}).WithTimeout(elected + countedOut + soon).WithPolling(backlogPoll).Should(Succeed())
	return key
}

// awaitGone says when an APIKey was gone.
func awaitGone(ctx context.Context, key *v1alpha1.APIKey, within time.Duration) time.Time {
	GinkgoHelper()
	Eventually(func() error {
		return product.admin.Get(ctx, client.ObjectKeyFromObject(key), &v1alpha1.APIKey{})
	}).WithTimeout(within).WithPolling(backlogPoll / 5).Should(MatchError(apierrors.IsNotFound, "is gone"))
	return time.Now()
}

// fillBacklog creates the APIKeys that are to wait, while no manager runs.
func fillBacklog(ctx context.Context) time.Duration {
	GinkgoHelper()
	began := time.Now()
	creating, ctx := errgroup.WithContext(ctx)
	creating.SetLimit(creators)
	for i := range *backlogKeys {
		creating.Go(func() error {
			return product.admin.Create(ctx, &v1alpha1.APIKey{
				ObjectMeta: metav1.ObjectMeta{Namespace: backlogName, Name: fmt.Sprintf("waits-%05d", i)},
				Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: backlogName}},
			})
		})
	}
	Expect(creating.Wait()).To(Succeed())
	return time.Since(began)
}

// backlog counts those of the backlog that are as is says, up to enough; 0 is all of them.
func backlog(ctx context.Context, enough int, is func(*v1alpha1.APIKey) bool) (count int) {
	GinkgoHelper()
	list := &v1alpha1.APIKeyList{}
	for {
		Expect(product.admin.List(ctx, list, client.InNamespace(backlogName), client.Limit(1000), client.Continue(list.Continue))).To(Succeed())
		for i := range list.Items {
			if is(&list.Items[i]) {
				count++
			}
		}
		if list.Continue == "" || enough > 0 && count >= enough {
			return count
		}
	}
}

// isPending: its key waits until auth servers have loaded it.
func isPending(key *v1alpha1.APIKey) bool {
	return len(key.Status.Versions) > 0 && key.Status.Versions[0].State == v1alpha1.VersionPending
}

func isWithdrawn(key *v1alpha1.APIKey) bool {
	return key.Status.Acceptance == v1alpha1.AcceptanceWithdrawn
}

// emptyBacklog leaves nothing for other specs to wait for.
func emptyBacklog(ctx SpecContext) {
	began := time.Now()
	Expect(product.admin.DeleteAllOf(ctx, &v1alpha1.APIKey{}, client.InNamespace(backlogName))).To(Succeed())
	Eventually(func() int { return backlog(ctx, 1, func(*v1alpha1.APIKey) bool { return true }) }).
		WithTimeout(time.Minute + time.Duration(*backlogKeys)*20*time.Millisecond).WithPolling(5 * backlogPoll).Should(BeZero())
	fmt.Fprintf(os.Stdout, "faults: backlog of %d keys: all were gone %.1f s after they were deleted\n", *backlogKeys, time.Since(began).Seconds())
	Expect(product.admin.Delete(ctx, &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: backlogName}})).To(Succeed())
	Expect(product.admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: backlogName}})).To(Succeed())
}
