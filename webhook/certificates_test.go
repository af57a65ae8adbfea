// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// certificate is a self-signed one for 127.0.0.1.
type certificate struct {
	certificate, key []byte // PEM
	parsed           *x509.Certificate
}

func newCertificate(t testing.TB, name string) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &certificate{
		certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		parsed:      parsed,
	}
}

// write puts the pair where the kubelet puts that of a Secret: behind a link that
// is replaced, so that both files change at once.
func (c *certificate) write(t testing.TB, directory string) {
	t.Helper()
	version, err := os.MkdirTemp(directory, "..version")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"tls.crt": c.certificate, "tls.key": c.key} {
		if err := os.WriteFile(filepath.Join(version, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = os.Symlink(filepath.Join("..data", name), filepath.Join(directory, name)) // there from the second time on
	}
	link := filepath.Join(directory, "..data")
	if err := os.Symlink(version, link+"_tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+"_tmp", link); err != nil {
		t.Fatal(err)
	}
}

func (c *certificate) clientConfig() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(c.parsed)
	return &tls.Config{RootCAs: roots}
}

func loadCertificates(t testing.TB, directory string) *certwatcher.CertWatcher {
	t.Helper()
	watcher, err := LoadCertificates(directory)
	if err != nil {
		t.Fatal(err)
	}
	return watcher.WithWatchInterval(20 * time.Millisecond)
}

func TestWhoSpeaksPlainHTTPIsTold(t *testing.T) {
	directory := t.TempDir()
	newCertificate(t, "127.0.0.1").write(t, directory)
	h := start(t, func(c *Config) { c.Certificates = loadCertificates(t, directory) })
	response, err := http.Get("http://" + h.gateways + "/auth/original")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "HTTPS") {
		t.Errorf("%d: %s", response.StatusCode, body)
	}
}

// TLS ends in the listener, and the upstream is told of it all the same.
func TestTheProxySpeaksBothProtocolsOverTLS(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(upstream.Close)
	directory := t.TempDir()
	certificate := newCertificate(t, "127.0.0.1")
	certificate.write(t, directory)
	h := start(t, func(c *Config) {
		withProxy(t, upstream.URL)(c)
		c.Certificates = loadCertificates(t, directory)
	})
	key := h.registry.accept(t, v1alpha1.AllScopes()...)
	for major, force := range map[int]bool{1: false, 2: true} {
		transport := &http.Transport{TLSClientConfig: certificate.clientConfig(), ForceAttemptHTTP2: force}
		t.Cleanup(transport.CloseIdleConnections)
		for range 2 {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+h.proxy+"/api/v1/annotations", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-API-Key", key)
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.ProtoMajor != major || response.StatusCode != http.StatusOK || string(body) != "https" {
				t.Errorf("over HTTP/%d, wanted %d: %d %s", response.ProtoMajor, major, response.StatusCode, body)
			}
		}
	}
}

func TestCertificateIsReplacedWhileServing(t *testing.T) {
	directory := t.TempDir()
	old, replacement := newCertificate(t, "old"), newCertificate(t, "new")
	old.write(t, directory)
	watcher := loadCertificates(t, directory)
	reloaded := make(chan struct{}, 10)
	watcher.RegisterCallback(func(c tls.Certificate) {
		if c.Leaf.Subject.CommonName == "new" {
			reloaded <- struct{}{}
		}
	})
	h := start(t, func(c *Config) {
		c.Certificates = watcher
		withGRPC(t)(c)
	})

	protocols := map[string]string{h.gateways: "http/1.1", h.server.config.GRPC.Addr().String(): "h2"}
	served := func(address string) string {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}) // who it is, is the question
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if state := conn.ConnectionState(); state.NegotiatedProtocol != protocols[address] || state.Version != tls.VersionTLS13 {
			t.Errorf("%s over TLS %x", state.NegotiatedProtocol, state.Version)
		}
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	for address := range protocols {
		if got := served(address); got != "old" {
			t.Fatalf("serves %q", got)
		}
	}
	replacement.write(t, directory)
	<-reloaded
	for address := range protocols {
		if got := served(address); got != "new" {
			t.Errorf("serves %q after the certificate was replaced", got)
		}
	}
}

func TestLoadCertificatesNamesWhatIsMissing(t *testing.T) {
	if _, err := LoadCertificates(t.TempDir()); err == nil || !strings.Contains(err.Error(), "tls.crt") {
		t.Errorf("%v", err)
	}
}
