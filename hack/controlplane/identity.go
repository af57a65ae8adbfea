// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// newIdentity makes a key, a certificate and tokens, and writes them to the folder of kube-apiserver. client-go would make RSA
// keys for the certificate, which take seconds under the race detector.
func (cp *ControlPlane) newIdentity() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return err
	}
	key, err := keyutil.MarshalPrivateKeyToPEM(private)
	if err != nil {
		return err
	}
	cp.certificate = pem.EncodeToMemory(&pem.Block{Type: certutil.CertificateBlockType, Bytes: certificate})
	cp.adminToken, cp.controllerManagerToken = rand.Text(), rand.Text()
	// The users who are there before there are ServiceAccounts. The bootstrap policy of RBAC gives the second what it needs to
	// give each controller a ServiceAccount.
	tokens := fmt.Sprintf("%s,admin,admin,system:masters\n%s,%[3]s,%[3]s\n", cp.adminToken, cp.controllerManagerToken, "system:kube-controller-manager")
	for path, data := range map[string][]byte{
		cp.certificatePath(): cp.certificate, cp.keyPath(): key, cp.tokensPath(): []byte(tokens),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (cp *ControlPlane) certificatePath() string { return filepath.Join(cp.apiServerDir(), "tls.crt") }
func (cp *ControlPlane) keyPath() string         { return filepath.Join(cp.apiServerDir(), "tls.key") }
func (cp *ControlPlane) tokensPath() string      { return filepath.Join(cp.apiServerDir(), "tokens.csv") }

// config returns the configuration of a client with this token. It does not limit its own rate, which a negative QPS means.
func (cp *ControlPlane) config(token string) *rest.Config {
	return &rest.Config{Host: "https://" + cp.address, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: cp.certificate}}
}
