// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/controlplane"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

const (
	// stalenessMargin is what a manager adds to the bound of an auth server that is silent.
	stalenessMargin = time.Second
	// lookSlack is what a look, and a machine that is busy, add to a bound.
	lookSlack = 5 * time.Second
)

// clusterBackup is what kubectl get -o yaml says of a cluster, statuses and all.
type clusterBackup struct {
	namespace    *corev1.Namespace
	keys         []*v1alpha1.APIKey
	organization *v1alpha1.Organization
	leases       []coordinationv1.Lease
	// plaintexts are all keys that were accepted.
	plaintexts [][]byte
}

// backUpCluster has a tenant live on the shared control plane, and keeps what is there. All
// that the tenant has was asked for by erin.
func backUpCluster(ctx context.Context) *clusterBackup {
	GinkgoHelper()
	awaitStamps(ctx)
	server := startAuthServer(ctx, "of-before")
	stop := startManager(ctx, account(ctx, managerAccount))
	t := newTenant(ctx)
	b := &clusterBackup{namespace: &corev1.Namespace{}, organization: t.organization}
	lasting := overlapping(time.Hour, time.Hour, time.Hour)
	for _, key := range []*v1alpha1.APIKey{t.key("agent"), t.key("first"), t.key("paused"), t.key("rotated", lasting)} {
		Expect(as("erin").Create(ctx, key)).To(Succeed())
		awaitReady(ctx, key)
		b.plaintexts = append(b.plaintexts, plaintextOf(ctx, key))
		b.keys = append(b.keys, key)
	}
	paused, rotated := b.keys[2], b.keys[3]
	changeAs(ctx, "erin", rotated, rotating)
	awaitVersions(ctx, rotated, v1alpha1.VersionRetiring, v1alpha1.VersionActive)
	b.plaintexts = append(b.plaintexts, plaintextOf(ctx, rotated))
	for _, plaintext := range b.plaintexts {
		Expect(server.status(plaintext)).To(Equal(http.StatusOK))
	}
	changeAs(ctx, "erin", paused, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
	awaitReason(ctx, paused, v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
	leases := &coordinationv1.LeaseList{}
	Expect(admin.List(ctx, leases, client.InNamespace(systemNamespace), registry.LeaseLabels())).To(Succeed())
	b.leases = leases.Items
	stop()
	server.stop()
	for _, key := range b.keys {
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		Expect(key.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationRequestedBy, "erin"))
	}
	Expect(admin.Get(ctx, client.ObjectKey{Name: t.namespace}, b.namespace)).To(Succeed())
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(t.organization), t.organization)).To(Succeed())
	return b
}

// anew is metadata as whoever creates from a dump has it: all but what only the API server gives.
func anew(meta metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: meta.Namespace, Name: meta.Name, Labels: meta.Labels, Annotations: meta.Annotations,
		Finalizers: meta.Finalizers, OwnerReferences: meta.OwnerReferences,
	}
}

// restoreKeys creates the APIKeys, and writes their statuses as they were.
func (b *clusterBackup) restoreKeys(ctx context.Context) (restored []*v1alpha1.APIKey) {
	GinkgoHelper()
	for _, kept := range b.keys {
		key := &v1alpha1.APIKey{ObjectMeta: anew(kept.ObjectMeta), Spec: kept.Spec}
		Expect(admin.Create(ctx, key)).To(Succeed())
		Expect(key.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationRequestedBy, "erin"), "nothing stamps yet")
		key.Status = kept.Status
		Expect(admin.Status().Update(ctx, key)).To(Succeed())
		Expect(key.Status.Versions).To(Equal(kept.Status.Versions))
		restored = append(restored, key)
	}
	return restored
}

// restoreLeases creates the Leases of the auth servers of before: as they were, and one more
// that has applied nothing of what is here.
func (b *clusterBackup) restoreLeases(ctx context.Context) (at time.Time) {
	GinkgoHelper()
	behind := b.leases[0].DeepCopy()
	behind.Name += "-behind"
	for name := range behind.Annotations {
		if name != "auth.hexcovery.io/suspect-after" {
			behind.Annotations[name] = "1"
		}
	}
	for _, kept := range append(b.leases, *behind) {
		lease := &coordinationv1.Lease{ObjectMeta: anew(kept.ObjectMeta), Spec: kept.Spec}
		Expect(admin.Create(ctx, lease)).To(Succeed())
	}
	return time.Now()
}

// onItsOwnPlane has a spec go on with another control plane, that knows the kinds and the
// rights of the product, and none of its policies.
func onItsOwnPlane(ctx context.Context) {
	GinkgoHelper()
	kinds := []string{"config/namespace", "config/crd", "config/rbac"}
	own, err := controlplane.Start(ctx, controlplane.Options{Log: GinkgoWriter, Apply: kinds})
	Expect(err).NotTo(HaveOccurred())
	shared, sharedAdmin := plane, admin
	DeferCleanup(func() {
		plane, admin = shared, sharedAdmin
		Expect(own.Stop()).To(Succeed())
	})
	plane, admin = own, clientOf(own.Admin())
}

// The worst that a restore can do: all of a dump, in the order of the names of kinds, with the
// programs running since the D of Deployment, and the policies of the product at the end. This
// is what docs/backup.md says of it.
var _ = Describe("A cluster that is restored from a dump in alphabetical order", Ordered, func() {
	var (
		b        *clusterBackup
		replicas []*authServer
		keys     []*v1alpha1.APIKey
		stop     func()
		// since is when the Leases came, and before the length of the audit trail.
		since  time.Time
		before int
	)
	expectOldDead := func() {
		GinkgoHelper()
		for _, replica := range replicas {
			for i, plaintext := range b.plaintexts {
				Expect(replica.status(plaintext)).To(Equal(http.StatusUnauthorized), "key %d of before, at %s", i, replica.name)
			}
		}
	}

	BeforeAll(func(ctx SpecContext) {
		b = backUpCluster(ctx)
		onItsOwnPlane(ctx)
		namespace := metav1.ObjectMeta{Name: b.namespace.Name, Labels: b.namespace.Labels}
		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: namespace})).To(Succeed())
		before = len(allLines())
		keys = b.restoreKeys(ctx)
		replicas = []*authServer{startAuthServer(ctx, "restored-a"), startAuthServer(ctx, "restored-b")}
		stop = startManager(ctx, account(ctx, managerAccount))
	})

	It("accepts no key of a status", func(ctx SpecContext) {
		for _, key := range keys {
			awaitReason(ctx, key, v1alpha1.ConditionPermitted, v1alpha1.ReasonOrganizationNotFound)
			Expect(key.Status.Versions).To(BeEmpty())
		}
		expectOldDead()
	})

	It("has each key minted anew, when the Organization comes", func(ctx SpecContext) {
		since = b.restoreLeases(ctx)
		organization := &v1alpha1.Organization{ObjectMeta: anew(b.organization.ObjectMeta), Spec: b.organization.Spec}
		Expect(admin.Create(ctx, organization)).To(Succeed())
		for _, key := range []*v1alpha1.APIKey{keys[0], keys[1], keys[3]} {
			awaitReady(ctx, key)
			awaitVersions(ctx, key, v1alpha1.VersionActive)
			Expect(key.Status.Versions[0].MintReason).To(Equal(v1alpha1.MintRestored), key.Name)
			Expect(key.Status.UID).To(Equal(key.UID))
			for _, replica := range replicas {
				Expect(replica.status(plaintextOf(ctx, key))).To(Equal(http.StatusOK))
			}
		}
		awaitReason(ctx, keys[2], v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		Expect(keys[2].Status.Versions).To(BeEmpty())
		expectOldDead()
	})

	It("has the first revocation wait for auth servers that are dead as for any that is silent", func(ctx SpecContext) {
		asked := time.Now()
		Expect(admin.Delete(ctx, keys[0].DeepCopy())).To(Succeed())
		awaitGone(ctx, keys[0].DeepCopy())
		gone := time.Now()
		AddReportEntry("restore", fmt.Sprintf("the first revocation was complete %s after it was asked for, %s after the Leases came (bound %s)",
			gone.Sub(asked).Round(time.Millisecond), gone.Sub(since).Round(time.Millisecond), staleness+stalenessMargin))
		Expect(gone.Sub(since)).To(BeNumerically(">=", staleness), "nobody has waited for what may be alive")
		Expect(gone.Sub(since)).To(BeNumerically("<=", staleness+stalenessMargin+lookSlack))
	})

	It("accepts no key of a status that comes later, while no manager runs", func(ctx SpecContext) {
		stop()
		key := keys[1]
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(key), key)).To(Succeed())
		minted := plaintextOf(ctx, key)
		key.Status = b.keys[1].Status
		Expect(admin.Status().Update(ctx, key)).To(Succeed())
		// They have seen it when they refuse the key of the status that was there.
		for _, replica := range replicas {
			Eventually(replica.status).WithArguments(minted).Should(Equal(http.StatusUnauthorized))
		}
		expectOldDead()
		startManager(ctx, account(ctx, managerAccount))
		awaitReplaced(ctx, key, b.keys[1].Status.KeyID)
		Expect(key.Status.UID).To(Equal(key.UID))
	})

	It("names nobody of before as an actor, and everybody from when the policies are there", func(ctx SpecContext) {
		startManager(ctx, account(ctx, managerAccount))
		Expect(plane.Apply(ctx, "config/policy")).To(Succeed())
		awaitStatusPolicy(ctx)
		awaitStamps(ctx)
		changeAs(ctx, "rita", keys[2], func(k *v1alpha1.APIKey) { k.Spec.Suspend = false })
		changeAs(ctx, "sam", keys[1], func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		awaitReady(ctx, keys[2])
		Expect(keys[2].Status.Versions[0].MintReason).To(Equal(v1alpha1.MintRestored))
		awaitReason(ctx, keys[1], v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		Eventually(linesOf).WithArguments(keys[1]).Should(ContainElement(And(
			HaveField("Action", audit.Suspended), HaveField("Actor", byUser("sam")))))
		for _, key := range keys {
			Eventually(linesOf).WithArguments(key).Should(ContainElement(And(HaveField("Action", audit.Minted),
				HaveField("Reason", string(v1alpha1.MintRestored)), HaveField("Actor", audit.Manager(audit.CauseRecovery)))))
		}
		Expect(allLines()[before:]).NotTo(ContainElement(HaveField("Actor.Name", "erin")))
		expectOldDead()
	})
})
