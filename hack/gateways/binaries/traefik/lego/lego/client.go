// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lego would get certificates. This one does not: the providers of DNS that the
// real one knows need the libraries of a hundred clouds, and what tests of gateways need
// is no certificate. It has what Traefik has to be compiled with; a Traefik that is
// configured to get certificates says that it cannot.
package lego

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/go-acme/lego/v5/acme"
	"github.com/go-acme/lego/v5/certificate"
	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/registration"
)

// DirectoryURLLetsEncrypt is the certificate authority that Traefik asks by default.
const DirectoryURLLetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Config is of a Client.
type Config struct {
	CADirURL, UserAgent string
	HTTPClient          *http.Client
	Certificate         struct{ Timeout time.Duration }
}

// NewConfig returns an empty one.
func NewConfig(any) *Config { return &Config{} }

// Client would get certificates.
type Client struct {
	Certificate interface {
		Obtain(context.Context, certificate.ObtainRequest) (*certificate.Resource, error)
		Renew(context.Context, certificate.Resource, *certificate.RenewOptions) (*certificate.Resource, error)
	}
	Challenge interface {
		SetDNS01Provider(challenge.Provider, ...challenge.Option) error
		SetHTTP01Provider(challenge.Provider, ...challenge.Option) error
		SetTLSALPN01Provider(challenge.Provider, ...challenge.Option) error
	}
	Registration interface {
		Register(context.Context, registration.RegisterOptions) (*acme.ExtendedAccount, error)
		RegisterWithExternalAccountBinding(context.Context, registration.RegisterEABOptions) (*acme.ExtendedAccount, error)
	}
}

// NewClient fails.
func NewClient(*Config) (*Client, error) { return nil, errors.ErrUnsupported }

// CreateCertPool fails.
func CreateCertPool([]string, bool) (*x509.CertPool, error) { return nil, errors.ErrUnsupported }
