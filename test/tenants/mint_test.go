// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("A Secret that somebody else writes, too", Ordered, ContinueOnFailure, func() {
	// quarrel is how long somebody writes as fast as the API server lets them.
	const quarrel = 6 * time.Second
	var planted, added, edited, previous *quarrelling

	BeforeAll(func(ctx SpecContext) {
		planted, added, edited, previous = plant(ctx), mintFor(ctx), mintFor(ctx), mintFor(ctx)
		Expect(patch(ctx, previous.as, previous.key, fmt.Sprintf(`{"spec":{"rotation":{"rotateAfter":%q}}}`, time.Now().UTC().Format(time.RFC3339)))).To(Succeed())
		awaitReason(ctx, previous.key, "Rotated", "Retiring")
		var writing sync.WaitGroup
		until, cancel := context.WithTimeout(ctx, quarrel)
		defer cancel()
		// An entry of its own, and the key itself, as often as the manager puts them right.
		writing.Go(func() { added.write(until, "key", "extra") })
		writing.Go(func() { edited.write(until, "key", "api-key") })
		writing.Go(func() { previous.replant(until) })
		writing.Wait()
		<-until.Done()
		for name, q := range map[string]*quarrelling{
			"a token that a controller writes": planted, "an added entry": added, "an edited key": edited, "the previous key's Secret": previous,
		} {
			q.audited()
			fmt.Fprintf(os.Stderr, "tenants: %s, for %s: %d keys minted, %d lines of audit, %d writes by the other\n", name, quarrel, q.mints, q.lines, q.writes)
		}
	}, NodeTimeout(3*minute))

	It("is left to who made it, if it is of another type, and says so", func(ctx SpecContext) {
		Expect(planted.mints).To(BeNumerically("<=", 1))
		Expect(planted.lines).To(BeNumerically("<=", 10))
		awaitReason(ctx, planted.key, "Published", "SecretConflict")
	})

	It("costs no key if they add an entry", func(ctx SpecContext) {
		Expect(added.mints).To(BeNumerically("==", 1))
		Expect(added.lines).To(BeNumerically("<=", 10))
		awaitAccepted(ctx, added.plaintext)
	})

	It("costs few keys if they edit the key, and little audit", func(ctx SpecContext) {
		// The first at once, and each after twice as long: 1, 2, 4 s.
		Expect(edited.mints).To(BeNumerically("<=", 5))
		Expect(edited.lines).To(BeNumerically("<=", 10*edited.mints))
		neverAccepted(ctx, edited.plaintext, time.Second)
	})

	It("costs no key if it is that of the previous key", func(ctx SpecContext) {
		Expect(previous.mints).To(BeNumerically("==", 2))
		Expect(previous.lines).To(BeNumerically("<=", 10))
		awaitAccepted(ctx, previous.plaintext)
		awaitAccepted(ctx, plaintextOf(ctx, previous.key))
	})

	It("delays nobody else", func(ctx SpecContext) { bystanders.live(ctx) })
})

// quarrelling is an APIKey whose Secret somebody else writes, too.
type quarrelling struct {
	*tenant
	key       *unstructured.Unstructured
	plaintext string

	mints, lines, writes int
}

// keyID is the ID of a key in a line of the audit trail.
var keyID = regexp.MustCompile(`"keyID":"([0-9a-f]{12})"`)

// audited counts what the audit trail says of the APIKey, and the keys that it names.
func (q *quarrelling) audited() {
	lines := linesWith(product.Manager.OutputPath, quoted(q.namespace))
	minted := map[string]bool{}
	for _, line := range lines {
		if found := keyID.FindStringSubmatch(line); found != nil {
			minted[found[1]] = true
		}
	}
	q.mints, q.lines = len(minted), len(lines)
}

func mintFor(ctx context.Context) *quarrelling {
	GinkgoHelper()
	q := &quarrelling{tenant: newPermitted(ctx)}
	q.key, q.plaintext = q.mint(ctx, "key", "")
	return q
}

// plant puts a Secret that kube-controller-manager fills in the place of an APIKey's, with
// that as its owner.
func plant(ctx context.Context) *quarrelling {
	GinkgoHelper()
	q := &quarrelling{tenant: newPermitted(ctx)}
	q.key = q.tenant.key("key", "suspend: true")
	Expect(q.as.Create(ctx, q.key)).To(Succeed())
	Expect(q.as.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: q.namespace, Name: "key",
			Labels:      map[string]string{"auth.hexcovery.io/apikey": "key"},
			Annotations: map[string]string{corev1.ServiceAccountNameKey: account},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: groupVersion.String(), Kind: "APIKey", Name: "key", UID: q.key.GetUID(), Controller: ptr.To(true),
			}},
		},
		Type: corev1.SecretTypeServiceAccountToken,
	})).To(Succeed())
	Expect(patch(ctx, q.as, q.key, `{"spec":{"suspend":false}}`)).To(Succeed())
	return q
}

// write sets an entry of a Secret, over and over.
func (q *quarrelling) write(ctx context.Context, name, entry string) {
	for ; ctx.Err() == nil; q.writes++ {
		text := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "written-%d", q.writes))
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: q.namespace, Name: name}}
		// While there is none it fails, and so it does at the end.
		_ = q.as.Patch(ctx, secret, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"data":{%q:%q}}`, entry, text)))
	}
}

// replant puts a Secret of the APIKey's in the place of its previous one, over and over: the
// manager deletes each.
func (q *quarrelling) replant(ctx context.Context) {
	for ; ctx.Err() == nil; q.writes++ {
		_ = q.as.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: q.namespace, Name: "key-previous",
				Labels:          map[string]string{"auth.hexcovery.io/apikey": "key"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: groupVersion.String(), Kind: "APIKey", Name: "key", UID: q.key.GetUID(), Controller: ptr.To(true)}},
			},
			StringData: map[string]string{"api-key": fmt.Sprint("written-", q.writes)},
		})
		// The manager's own, and what was just created, if it is still there.
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: q.namespace, Name: "key-previous"}}
		_ = q.as.Patch(ctx, secret, client.RawPatch(types.MergePatchType, []byte(`{"data":{"api-key":"bWluZQ=="}}`)))
	}
}
