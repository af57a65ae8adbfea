// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// newIdentity makes keys, a certificate and tokens, and writes them to the folder of kube-apiserver.
func (cp *ControlPlane) newIdentity() error {
	certificate, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", nil, nil)
	if err != nil {
		return err
	}
	signing, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return err
	}
	cp.certificate, cp.adminToken, cp.controllerManagerToken = certificate, rand.Text(), rand.Text()
	// The users who are there before there are ServiceAccounts. The bootstrap policy of RBAC gives the second what it needs to
	// give each controller a ServiceAccount.
	tokens := fmt.Sprintf("%s,admin,admin,system:masters\n%s,%[3]s,%[3]s\n", cp.adminToken, cp.controllerManagerToken, "system:kube-controller-manager")
	for path, data := range map[string][]byte{
		cp.certificatePath(): certificate, cp.privateKeyPath(): key, cp.signingKeyPath(): signing, cp.tokensPath(): []byte(tokens),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (cp *ControlPlane) certificatePath() string { return filepath.Join(cp.apiServerDir(), "tls.crt") }
func (cp *ControlPlane) privateKeyPath() string  { return filepath.Join(cp.apiServerDir(), "tls.key") }
func (cp *ControlPlane) signingKeyPath() string {
	return filepath.Join(cp.apiServerDir(), "signing.key")
}
func (cp *ControlPlane) tokensPath() string { return filepath.Join(cp.apiServerDir(), "tokens.csv") }

// config returns the configuration of a client with this token. It does not limit its own rate, which a negative QPS means.
func (cp *ControlPlane) config(token string) *rest.Config {
	return &rest.Config{Host: "https://" + cp.address, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: cp.certificate}}
}
