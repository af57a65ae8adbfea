// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/rand"
)

var _ = Describe("The hash of somebody else's key", func() {
	DescribeTable("is worth nothing to who may read it, when its Organization", func(ctx SpecContext, imports ...string) {
		thief := newPermitted(ctx, imports...)
		thief.bind(ctx, bystanders.namespace, "view")
		name := "stolen-" + rand.String(6)
		key, plaintext := bystanders.mint(ctx, name, "")
		Eventually(func() error { return thief.as.Get(ctx, nameOf(key), key) }).Should(Succeed(), "a viewer reads the status")

		loot := thief.key("loot", fmt.Sprintf("importedKeys: [{sha256: %s}]", hashOf(key)))
		Expect(thief.as.Create(ctx, loot)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(refresh(ctx, loot)).To(Succeed())
			for conditionType, want := range map[string]string{"Imported": "False", "Ready": "False", "Serving": "True"} {
				status, reason, message := condition(loot, conditionType)
				g.Expect(status).To(Equal(want), "%s is %s: %s", conditionType, reason, message)
			}
		}).Should(Succeed())
		awaitAccepted(ctx, plaintext)

		Expect(bystanders.as.Delete(ctx, key.DeepCopy())).To(Succeed())
		awaitGone(ctx, key)
		neverAccepted(ctx, plaintext, 3*time.Second)
		// Nor after the thief has touched what was refused.
		Expect(patch(ctx, thief.as, loot, `{"spec":{"description":"another"}}`)).To(Succeed())
		neverAccepted(ctx, plaintext, time.Second)
	},
		Entry("says nothing of imports"),
		Entry("permits keys of elsewhere", "imports: Foreign"),
		Entry("permits any, for what was refused is not taken up by itself", "imports: Any"),
	)

	It("is worth nothing in a list that comes before its own APIKey", func(ctx SpecContext) {
		squatter := newPermitted(ctx, "imports: Foreign")
		key, plaintext := bystanders.mint(ctx, "squatted-"+rand.String(6), "")
		Expect(bystanders.as.Delete(ctx, key.DeepCopy())).To(Succeed())
		awaitGone(ctx, key)
		// The hash is nobody's now: its key was minted here all the same.
		sum := sha256.Sum256([]byte(plaintext))
		loot := squatter.key("loot", fmt.Sprintf("importedKeys: [{sha256: %s}]", hex.EncodeToString(sum[:])))
		Expect(squatter.as.Create(ctx, loot)).To(Succeed())
		awaitServing(ctx, loot)
		neverAccepted(ctx, plaintext, 2*time.Second)
	})

	It("does not make a key younger that is taken out of the list and put back", func(ctx SpecContext) {
		mallory := newPermitted(ctx, "imports: Foreign")
		sum := sha256.Sum256([]byte("a key of another system, drawn at random"))
		listed := fmt.Sprintf(`{"spec":{"importedKeys":[{"sha256":"%x"}]}}`, sum)
		key := mallory.key("aged", fmt.Sprintf("importedKeys: [{sha256: %x}]", sum))
		Expect(mallory.as.Create(ctx, key)).To(Succeed())
		awaitReason(ctx, key, "Imported", "Imported")
		first := registrationTime(key, fmt.Sprintf("%x", sum))
		Expect(patch(ctx, mallory.as, key, `{"spec":{"importedKeys":null}}`)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(refresh(ctx, key)).To(Succeed())
			g.Expect(registrationTime(key, fmt.Sprintf("%x", sum))).To(BeEmpty())
		}).Should(Succeed())
		// Times in a status have whole seconds.
		pause(ctx, 1100*time.Millisecond)
		Expect(patch(ctx, mallory.as, key, listed)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(refresh(ctx, key)).To(Succeed())
			status, reason, _ := condition(key, "Imported")
			g.Expect(status).NotTo(BeEmpty())
			g.Expect(reason).NotTo(Equal("Importing"))
		}).Should(Succeed())
		Expect(registrationTime(key, fmt.Sprintf("%x", sum))).To(Or(BeEmpty(), Equal(first)))
	})
})
