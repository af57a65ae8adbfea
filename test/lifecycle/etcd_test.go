// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/hack/controlplane"
)

// A restore takes the whole cluster back in time: what was revoked since the backup is
// as it was then, and nothing in the cluster knows better. This is what docs/backup.md
// says of it, on a control plane of its own.
var _ = Describe("A restore of etcd", func() {
	It("brings back what was revoked since, ends what was made since, and leaves keys and Secrets in agreement", func(ctx SpecContext) {
		own, err := controlplane.Start(ctx, controlplane.Options{Log: GinkgoWriter, Apply: []string{"config/base"}})
		Expect(err).NotTo(HaveOccurred())
		shared, sharedAdmin := plane, admin
		DeferCleanup(func() {
			plane, admin = shared, sharedAdmin
			Expect(own.Stop()).To(Succeed())
		})
		plane, admin = own, clientOf(own.Admin())
		awaitStatusPolicy(ctx)

		replica := startAuthServer(ctx, "etcd")
		stop := startManager(ctx, account(ctx, managerAccount))
		t := newTenant(ctx)
		revoked, rotated := t.mint(ctx, "revoked"), t.mint(ctx, "rotated", overlapping(time.Hour, time.Hour, time.Hour))
		revokedText, before := plaintextOf(ctx, revoked), plaintextOf(ctx, rotated)
		stop()
		replica.stop()
		// A pod that was made since the backup would not be there after the restore, and
		// neither would be what its token is good for.
		pod(ctx, "etcd-staying")
		restore, err := own.BackUpEtcd(ctx)
		Expect(err).NotTo(HaveOccurred())

		By("revoking, rotating and making keys since")
		replica, staying := startAuthServer(ctx, "etcd-again"), startAuthServer(ctx, "etcd-staying")
		Expect(replica.status(revokedText)).To(Equal(http.StatusOK))
		stop = startManager(ctx, account(ctx, managerAccount))
		Expect(admin.Delete(ctx, revoked.DeepCopy())).To(Succeed())
		awaitGone(ctx, revoked.DeepCopy())
		Eventually(replica.status).WithArguments(revokedText).Should(Equal(http.StatusUnauthorized))
		id := rotated.Status.KeyID
		change(ctx, rotated, rotating)
		awaitReplaced(ctx, rotated, id)
		after := plaintextOf(ctx, rotated)
		since := plaintextOf(ctx, t.mint(ctx, "since"))
		Eventually(replica.status).WithArguments(since).Should(Equal(http.StatusOK))

		By("restoring, with the manager and an auth server stopped, and another running on")
		stop()
		replica.stop()
		Expect(restore(ctx)).To(Succeed())
		replica = startAuthServer(ctx, "etcd-restored")
		startManager(ctx, account(ctx, managerAccount))
		Eventually(replica.status).WithArguments(revokedText).Should(Equal(http.StatusOK), "the cluster is as it was")
		Eventually(replica.status).WithArguments(before).Should(Equal(http.StatusOK))
		Eventually(replica.status).WithArguments(after).Should(Equal(http.StatusUnauthorized))
		Eventually(replica.status).WithArguments(since).Should(Equal(http.StatusUnauthorized))
		awaitReady(ctx, rotated)
		Expect(plaintextOf(ctx, rotated)).To(Equal(before))

		By("asking the one that was not stopped")
		for _, known := range []struct {
			text   []byte
			status int
		}{{before, http.StatusOK}, {revokedText, http.StatusOK}, {after, http.StatusUnauthorized}, {since, http.StatusUnauthorized}} {
			// In doubt it says 503, until it has made sure.
			Eventually(staying.status, 2*time.Minute).WithArguments(known.text).Should(Equal(known.status))
		}

		By("ending, as the audit trail says, what was revoked since")
		// An API server knows the kinds that policies are about some time after its start,
		// and refuses changes of them until then.
		Eventually(func() error {
			patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"description":"probe"}}`))
			return admin.Patch(ctx, rotated.DeepCopy(), patch, client.DryRunAll)
		}).Should(Succeed())
		Expect(admin.Delete(ctx, revoked.DeepCopy())).To(Succeed())
		awaitGone(ctx, revoked.DeepCopy())
		for _, server := range []*authServer{replica, staying} {
			Eventually(server.status, 2*time.Minute).WithArguments(revokedText).Should(Equal(http.StatusUnauthorized))
		}
		change(ctx, rotated, revoking(rotated.Status.KeyID))
		Eventually(replica.status).WithArguments(before).Should(Equal(http.StatusUnauthorized))
	})
})
