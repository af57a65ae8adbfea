// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"github.com/hexcovery/apikey-operator/controllers"
)

var _ = Describe("The readiness of a manager", func() {
	It("comes when it has read everything", func(ctx SpecContext) {
		ready := probedManager(ctx, account(ctx, managerAccount))
		Eventually(ready).Should(HavePrefix("200"))
	})

	It("does not come where it may not list the Secrets, and says so", func(ctx SpecContext) {
		// The auth server's account may list all else that a manager reads.
		ready := probedManager(ctx, account(ctx, serverAccount))
		Eventually(ready).Should(And(HavePrefix("500"), ContainSubstring("[-]caches failed"), ContainSubstring("[-]watch-secret failed")))
		Expect(ready()).NotTo(ContainSubstring("[-]watch-apikey failed"))
	})
})

// probedManager runs a manager, and returns what its readiness probe is answered.
func probedManager(ctx context.Context, config *rest.Config) func() string {
	GinkgoHelper()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	address := l.Addr().String()
	Expect(l.Close()).To(Succeed())
	startManager(ctx, config, func(o *controllers.Options) {
		o.ProbeAddress, o.WatchBound = address, 100*time.Millisecond
	})
	return func() string {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz?verbose", nil)
		Expect(err).NotTo(HaveOccurred())
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		Expect(err).NotTo(HaveOccurred())
		return fmt.Sprint(response.StatusCode, " ", string(body))
	}
}
