// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/hack/process"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

var (
	largeCount = flag.Int("large.count", 60, "how many of the largest APIKeys that are accepted a tenant stores")
	largeIn    = flag.String("large.cgroup", "", "folder of a cgroup with a memory controller, in which each program gets a cgroup of its own with the limit; empty: their peaks are compared with it")
)

var _ = Describe("What a tenant stores", func() {
	It("costs the programs no memory as APIKeys that nobody permits, however large", func(ctx SpecContext) {
		count := *largeCount
		if *largeIn != "" {
			for _, process := range product.Processes() {
				confine(process, filepath.Join(*largeIn, process.Name))
			}
			Expect(startAnew(ctx, product.Processes()...)).To(Succeed())
		}
		mallory := newTenant(ctx)
		largest := largestAccepted(ctx, mallory)
		programs := map[*stack.Process]string{product.Manager.Process: product.Manager.Metrics}
		before := map[*stack.Process]int{}
		for _, server := range product.AuthServers {
			programs[server.Process] = server.Operations
		}
		for process, metrics := range programs {
			before[process] = liveHeap(ctx, metrics)
		}
		creating, writing := errgroup.WithContext(ctx)
		creating.SetLimit(6)
		for i := range count {
			creating.Go(func() error {
				key := largest.DeepCopy()
				key.SetName(fmt.Sprintf("large-%d", i))
				return mallory.as.Create(writing, key)
			})
		}
		Expect(creating.Wait()).To(Succeed())

		By("starting programs that read everything there is")
		server := product.AuthServers[1]
		Expect(startAnew(ctx, server.Process, product.Manager.Process)).To(Succeed())
		bystanders.live(ctx)
		for _, process := range product.Processes() {
			Expect(process.Ended()).NotTo(BeClosed(), process.Name)
		}
		stored := largest.DeepCopy()
		stored.SetName("large-0")
		Expect(refresh(ctx, stored)).To(Succeed())
		text, err := json.Marshal(stored.Object)
		Expect(err).NotTo(HaveOccurred())
		fmt.Fprintf(os.Stderr, "tenants: %d unpermitted APIKeys of %d KiB: peak of the manager %d MiB, of an auth server that has just joined %d MiB, of one that has followed %d MiB\n",
			count, len(text)>>10, peak(product.Manager.Process)>>20, peak(server.Process)>>20, peak(product.AuthServers[0].Process)>>20)
		for process, metrics := range programs {
			Expect(peak(process)).To(BeNumerically("<=", memoryLimit), "%s would have been killed", process.Name)
			Eventually(func() int { return liveHeap(ctx, metrics) - before[process] }).
				Should(BeNumerically("<", count*len(text)/4), "%s keeps what is none of its business", process.Name)
		}
	}, NodeTimeout(time.Hour))

	DescribeTable("costs the manager no memory", func(ctx SpecContext, count, size int, fill func(*corev1.Secret, *unstructured.Unstructured)) {
		mallory := newTenant(ctx)
		owner := mallory.key("owner", "")
		Expect(mallory.as.Create(ctx, owner)).To(Succeed())
		Expect(startAnew(ctx, product.Manager.Process)).To(Succeed())
		bystanders.live(ctx)
		before := liveHeap(ctx, product.Manager.Metrics)
		creating, writing := errgroup.WithContext(ctx)
		creating.SetLimit(6)
		for i := range count {
			creating.Go(func() error {
				secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
					Namespace: mallory.namespace, Name: fmt.Sprintf("large-%d", i), Labels: map[string]string{"auth.hexcovery.io/apikey": "owner"},
				}}
				fill(secret, owner)
				return mallory.as.Create(writing, secret)
			})
		}
		Expect(creating.Wait()).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			_ = admin.DeleteAllOf(ctx, &corev1.Secret{}, client.InNamespace(mallory.namespace))
		})
		bystanders.live(ctx)
		Expect(startAnew(ctx, product.Manager.Process)).To(Succeed())
		bystanders.live(ctx)
		var after int
		Eventually(func() int {
			after = liveHeap(ctx, product.Manager.Metrics)
			return after - before
		}).Should(BeNumerically("<", count*size/4), "the manager keeps what is none of its business")
		fmt.Fprintf(os.Stderr, "tenants: %d labelled Secrets of %d KiB: the manager's live heap goes from %d to %d MiB, its peak is %d MiB\n",
			count, size>>10, before>>20, after>>20, peak(product.Manager.Process)>>20)
		Expect(peak(product.Manager.Process)).To(BeNumerically("<=", memoryLimit))
	},
		Entry("as Secrets that merely bear its label", NodeTimeout(4*minute), 150, 350<<10, func(secret *corev1.Secret, _ *unstructured.Unstructured) {
			secret.Annotations = map[string]string{"filling": strings.Repeat("x", 200<<10)}
			secret.Data = map[string][]byte{"filling": make([]byte, 150<<10)}
		}),
		Entry("as Secrets that name an APIKey as their owner", NodeTimeout(4*minute), 400, 78<<10, func(secret *corev1.Secret, owner *unstructured.Unstructured) {
			secret.Annotations = map[string]string{"filling": strings.Repeat("x", 78<<10)}
			secret.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, owner.GroupVersionKind())}
			secret.OwnerReferences[0].BlockOwnerDeletion = nil
		}),
	)
})

// confine has the next start of a program be in a cgroup with the memory limit: one that
// needs more is killed by the kernel, as in its container.
func confine(program *stack.Process, cgroup string) {
	GinkgoHelper()
	Expect(os.MkdirAll(cgroup, 0o755)).To(Succeed())
	limit := filepath.Join(cgroup, "memory.max")
	if _, err := os.Stat(limit); err != nil {
		limit = filepath.Join(cgroup, "memory.limit_in_bytes") // cgroup v1
	}
	Expect(os.WriteFile(limit, []byte(strconv.Itoa(memoryLimit)), 0o644)).To(Succeed())
	program.Change(func(l *process.Launch) {
		l.Args = append([]string{"-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, cgroup, l.Path}, l.Args...)
		l.Path = "/bin/sh"
	})
}

// filling puts entries with so many bytes each in a place of an APIKey; sizes are tried in
// turn.
type filling struct {
	put   func(key *unstructured.Unstructured, size int) error
	sizes []int
}

// largestAccepted returns about the largest APIKey that the API server accepts of the
// tenant: each place is filled in turn, as far as the schema and the policies let it.
func largestAccepted(ctx context.Context, mallory *tenant) *unstructured.Unstructured {
	GinkgoHelper()
	label := strings.Repeat(strings.Repeat("x", 60)+".", 4) + "example/" + strings.Repeat("x", 50) // 253 bytes before the slash are the most
	largest := mallory.key("large", "")
	for _, place := range []filling{
		{texts(32, "filling-", "spec", "secret", "data"), []int{16384, 8192, 4096, 2000, 1000}},
		{texts(32, "filling-", "spec", "secret", "annotations"), []int{4096, 2048, 1024, 256, 64}},
		{texts(64, "filling-", "metadata", "annotations"), []int{4000, 2030, 1000, 500, 100}},
		{texts(64, label, "metadata", "labels"), []int{63, 10}},
		{func(key *unstructured.Unstructured, size int) error {
			return unstructured.SetNestedField(key.Object, strings.Repeat("語", size), "spec", "description")
		}, []int{4096, 1024, 256}},
		{parts(8, func(i, size int) any {
			return map[string]any{"sha256": fmt.Sprintf("%064x", i+1), "description": strings.Repeat("語", size)}
		}, "spec", "importedKeys"), []int{256, 64}},
		{parts(32, func(i, size int) any {
			return map[string]any{"kind": "Deployment", "name": fmt.Sprintf("%0*d", size, i)}
		}, "spec", "rotation", "restart", "workloads"), []int{253, 63}},
		{parts(15, func(i, size int) any { return fmt.Sprintf("mallory.example/%0*d", size, i) }, "metadata", "finalizers"), []int{63, 10}},
		{parts(8, func(i, size int) any {
			return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": fmt.Sprintf("%0*d", size, i), "uid": fmt.Sprint("uid-", i)}
		}, "metadata", "ownerReferences"), []int{3000, 1500, 500, 100}},
	} {
		for _, size := range place.sizes {
			fuller := largest.DeepCopy()
			Expect(place.put(fuller, size)).To(Succeed())
			if mallory.as.Create(ctx, fuller.DeepCopy(), client.DryRunAll) == nil {
				largest = fuller
				break
			}
		}
	}
	return largest
}

// texts puts so many texts under names that begin alike.
func texts(count int, name string, path ...string) func(*unstructured.Unstructured, int) error {
	return func(key *unstructured.Unstructured, size int) error {
		entries := map[string]any{}
		for i := range count {
			entries[fmt.Sprint(name, i)] = strings.Repeat("x", size)
		}
		return unstructured.SetNestedMap(key.Object, entries, path...)
	}
}

// parts puts so many values in a list.
func parts(count int, part func(i, size int) any, path ...string) func(*unstructured.Unstructured, int) error {
	return func(key *unstructured.Unstructured, size int) error {
		var list []any
		for i := range count {
			list = append(list, part(i, size))
		}
		return unstructured.SetNestedSlice(key.Object, list, path...)
	}
}

// peak is the most memory that the process had since it was started, in bytes.
func peak(process *stack.Process) int {
	GinkgoHelper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", process.PID()))
	Expect(err).NotTo(HaveOccurred(), "the process is gone, or this is not Linux")
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	Expect(found).NotTo(BeNil())
	kilobytes, err := strconv.Atoi(string(found[1]))
	Expect(err).NotTo(HaveOccurred())
	return kilobytes << 10
}

// liveHeap is what a garbage collection of a program leaves that begins after the call, in bytes:
// that of an earlier one knows nothing of what has come since. What the program reads to answer
// is what makes it collect.
func liveHeap(ctx context.Context, url string) (bytes int) {
	GinkgoHelper()
	collected := func(g Gomega) int {
		text := page(ctx, url)
		bytes = gaugeIn(g, text, "go_gc_heap_live_bytes")
		return gaugeIn(g, text, "go_gc_duration_seconds_count")
	}
	// The first that ends may have begun before.
	enough := collected(Default) + 2
	Eventually(collected).WithPolling(time.Millisecond).Should(BeNumerically(">=", enough))
	return bytes
}

// gaugeIn is the value of a metric without labels.
func gaugeIn(g Gomega, text, name string) int {
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
	g.Expect(found).NotTo(BeNil(), "no metric %s", name)
	value, err := strconv.ParseFloat(found[1], 64)
	g.Expect(err).NotTo(HaveOccurred())
	return int(value)
}

// page is what a program answers at /metrics.
func page(ctx context.Context, url string) string {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	Expect(err).NotTo(HaveOccurred())
	answer, err := http.DefaultClient.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	Expect(err).NotTo(HaveOccurred())
	return string(text)
}
