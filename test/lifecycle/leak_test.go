// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var _ = Describe("Key material", func() {
	It("is found in its Secret and nowhere else, after a whole life", func(ctx SpecContext) {
		replicas := []*authServer{startAuthServer(ctx, "i"), startAuthServer(ctx, "j")}
		startManager(ctx, account(ctx, managerAccount))
		t := newTenant(ctx)

		key := t.mint(ctx, "searched")
		drifted := plaintextOf(ctx, key)
		deleteSecretOf(ctx, key)
		awaitReplaced(ctx, key, key.Status.KeyID)
		lasting := plaintextOf(ctx, key)
		change(ctx, key, func(k *v1alpha1.APIKey) { k.Spec.Suspend = true })
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonSuspended)
		change(ctx, key, func(k *v1alpha1.APIKey) {
			k.Spec.Suspend = false
			k.Spec.ExpirationTime = ptr.To(metav1.NewTime(time.Now().Add(time.Second)))
			k.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"header": "X-API-Key: $(API_KEY)"}
		})
		awaitReason(ctx, key, v1alpha1.ConditionReady, v1alpha1.ReasonExpired)
		ended := t.mint(ctx, "ended")
		deleted := plaintextOf(ctx, ended)
		plaintexts := map[string][]byte{"drifted": drifted, "lasting": lasting, "deleted": deleted}
		for _, plaintext := range plaintexts {
			for _, replica := range replicas {
				replica.status(plaintext)
			}
		}
		Expect(admin.Delete(ctx, ended)).To(Succeed())
		awaitGone(ctx, ended)

		// The Secret that is to hold it is where the search sees that it can find.
		home := fmt.Sprintf("etcd /registry/secrets/%s/searched", t.namespace)
		places := search(ctx, replicas, plaintexts)
		Expect(places["lasting"]).To(ConsistOf(home))
		Expect(places["drifted"]).To(BeEmpty())
		Expect(places["deleted"]).To(BeEmpty())
	})

	DescribeTable("is found where it was planted", func(ctx SpecContext, form func([]byte) string) {
		replica := startAuthServer(ctx, "k")
		startManager(ctx, account(ctx, managerAccount))
		t := newTenant(ctx)
		planted := []byte("hxk_planted" + strings.Repeat("p", 42))
		key := t.key("careless", func(k *v1alpha1.APIKey) { k.Spec.Description = form(planted) })
		Expect(admin.Create(ctx, key)).To(Succeed())
		_, err := fmt.Fprintf(logs, "careless: %s\n", form(planted))
		Expect(err).NotTo(HaveOccurred())
		places := search(ctx, []*authServer{replica}, map[string][]byte{"planted": planted})
		Expect(places["planted"]).To(ContainElements(
			fmt.Sprintf("etcd /registry/auth.hexcovery.io/apikeys/%s/careless", t.namespace), "logs of manager and auth servers"))
	},
		Entry("as it is", func(b []byte) string { return string(b) }),
		Entry("in base64", base64.StdEncoding.EncodeToString),
		Entry("in hexadecimal", hex.EncodeToString),
		Entry("in part", func(b []byte) string { return "..." + string(b[8:30]) }),
	)

	It("is in the manager's cache as digests only, and Secrets of others not at all", func(ctx SpecContext) {
		startAuthServer(ctx, "l")
		reader := startManagerWithCache(ctx)
		t := newTenant(ctx)
		key := t.mint(ctx, "cached")
		other := secretInTheWay(t, "bad")
		Expect(admin.Create(ctx, other)).To(Succeed())

		cached := &corev1.SecretList{}
		Eventually(func(g Gomega) {
			g.Expect(reader.List(ctx, cached, client.InNamespace(t.namespace))).To(Succeed())
			g.Expect(cached.Items).To(HaveLen(1), "the Secret that has our label, and not %s", other.Name)
		}).Should(Succeed())
		for name, value := range cached.Items[0].Data {
			Expect(value).To(HaveLen(32), "entry %s", name)
		}
		Expect(hex.EncodeToString(cached.Items[0].Data["api-key"])).To(Equal(key.Status.Versions[0].SHA256))
	})
})

// search looks for each key, in whole, in part and in other forms, in everything
// that the operator has written or says, and returns where it was found.
func search(ctx SpecContext, replicas []*authServer, plaintexts map[string][]byte) map[string][]string {
	GinkgoHelper()
	found := map[string][]string{}
	look := func(place string, content []byte) {
		for name, plaintext := range plaintexts {
			if holds(content, plaintext) {
				found[name] = append(found[name], place)
			}
		}
	}
	look("logs of manager and auth servers", logs.Bytes())
	look("audit trail", trail.Bytes())
	for _, replica := range replicas {
		look("metrics of "+replica.name, fetch(replica.metrics))
	}
	families, err := metrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	look("metrics of the manager", []byte(fmt.Sprint(families)))
	Expect(filepath.WalkDir(plane.LogDir(), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		look("log "+entry.Name(), content)
		return err
	})).To(Succeed())
	// Events, statuses and everything else that is kept is in etcd.
	values, err := plane.DumpEtcd(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(len(values)).To(BeNumerically(">", 100), "etcd was not read")
	for key, value := range values {
		look("etcd "+key, value)
	}
	return found
}

// holds reports whether content has the key, or 16 characters of what is secret
// in it, as it is or in base64 or hexadecimal.
func holds(content, plaintext []byte) bool {
	const prefix, part = len("hxk_"), 16
	for start := prefix; start+part <= len(plaintext); start++ {
		if bytes.Contains(content, plaintext[start:start+part]) {
			return true
		}
	}
	for shift := range 3 { // The three ways that bytes can fall into base64.
		encoded := base64.RawStdEncoding.EncodeToString(plaintext[prefix+shift:])
		if bytes.Contains(content, []byte(encoded[:24])) {
			return true
		}
	}
	return bytes.Contains(bytes.ToLower(content), []byte(hex.EncodeToString(plaintext[prefix:])))
}

func fetch(url string) []byte {
	GinkgoHelper()
	response, err := http.Get(url)
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(response.Body.Close()).To(Succeed()) }()
	Expect(response.StatusCode).To(Equal(http.StatusOK))
	content, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return content
}

// indexed is how many hashes the auth server says it accepts.
func (s *authServer) indexed() int {
	GinkgoHelper()
	for line := range strings.Lines(string(fetch(s.metrics))) {
		if value, ok := strings.CutPrefix(line, "apikey_registry_indexed_hashes "); ok {
			count, err := strconv.Atoi(strings.TrimSpace(value))
			Expect(err).NotTo(HaveOccurred())
			return count
		}
	}
	Fail("the auth server does not say how many hashes it has")
	return 0
}

func permitted(key *v1alpha1.APIKey) bool {
	return key.DeletionTimestamp.IsZero() && !key.Spec.Suspend &&
		meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionPermitted)
}
