package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// partBytes is the size of the parts of an upload, one of which is held in memory for
// each open file. With at most 10,000 parts, a file may have 160 GB.
const partBytes = 16 << 20

// awsEndpoint is where buckets are when nothing else is said.
const awsEndpoint = "https://s3.amazonaws.com"

// BucketConfig says which S3-compatible bucket files go to.
type BucketConfig struct {
	// Endpoint is the server's address, https://host or http://host:port. Empty
	// means Amazon S3.
	Endpoint string
	Bucket   string
	// Prefix is put before the names of files, with a slash between.
	Prefix string
	Region string
	// AccessKey, SecretKey and, for temporary ones, SessionToken. Without them the
	// AWS credentials file and then the machine's role are tried.
	AccessKey, SecretKey, SessionToken string
}

// BucketFromEnvironment completes an address s3://bucket/prefix with the variables
// that AWS tools read: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION,
// AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
// getenv is os.Getenv.
func BucketFromEnvironment(address string, getenv func(string) string) (BucketConfig, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return BucketConfig{}, fmt.Errorf("read bucket address %q: s3://bucket/prefix is needed", address)
	}
	return BucketConfig{
		Endpoint:     cmp.Or(getenv("AWS_ENDPOINT_URL_S3"), getenv("AWS_ENDPOINT_URL")),
		Bucket:       u.Host,
		Prefix:       strings.Trim(u.Path, "/"),
		Region:       cmp.Or(getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")),
		AccessKey:    getenv("AWS_ACCESS_KEY_ID"),
		SecretKey:    getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: getenv("AWS_SESSION_TOKEN"),
	}, nil
}

// Bucket is a bucket of an S3-compatible store. Files are uploaded in parts while they
// are written and appear when they are complete. One writer may use a prefix at a time.
type Bucket struct {
	client         *minio.Client
	bucket, prefix string
}

// NewBucket opens a bucket, which must exist.
func NewBucket(ctx context.Context, cfg BucketConfig) (*Bucket, error) {
	u, err := url.Parse(cmp.Or(cfg.Endpoint, awsEndpoint))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("read S3 endpoint %q: https://host is needed", cfg.Endpoint)
	}
	client, err := minio.New(u.Host, &minio.Options{
		Creds: cfg.credentials(), Secure: u.Scheme == "https", Region: cfg.Region,
	})
	if err != nil {
		return nil, fmt.Errorf("open S3 at %s: %w", u.Host, err)
	}
	exists, err := client.BucketExists(ctx, cfg.Bucket)
	if err != nil {
		return nil, fmt.Errorf("find bucket %s at %s: %w", cfg.Bucket, u.Host, err)
	}
	if !exists {
		return nil, fmt.Errorf("find bucket %s at %s: it does not exist", cfg.Bucket, u.Host)
	}
	return &Bucket{client: client, bucket: cfg.Bucket, prefix: cfg.Prefix}, nil
}

func (c *BucketConfig) credentials() *credentials.Credentials {
	if c.AccessKey != "" {
		return credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken)
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.FileAWSCredentials{}, &credentials.IAM{},
	})
}

// Create implements [Sink].
func (b *Bucket) Create(ctx context.Context, name string) (File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	reader, writer := io.Pipe()
	upload := &upload{PipeWriter: writer, done: make(chan error, 1)}
	go func() {
		_, err := b.client.PutObject(ctx, b.bucket, path.Join(b.prefix, name), reader, -1,
			minio.PutObjectOptions{
				PartSize: partBytes, NumThreads: 1,
				DisableContentSha256: true, // as over TLS; the CRC-32C of each part is checked
			})
		_ = reader.CloseWithError(cmp.Or(err, io.ErrClosedPipe)) // ends writes that wait
		upload.done <- err
	}()
	return upload, nil
}

// Read implements [Sink].
func (b *Bucket) Read(ctx context.Context, name string) ([]byte, error) {
	object, err := b.client.GetObject(ctx, b.bucket, path.Join(b.prefix, name), minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(object)
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return content, errors.Join(err, object.Close())
}

// Clean implements [Sink]. It ends the uploads that were begun and not completed.
func (b *Bucket) Clean(ctx context.Context) error {
	under := b.prefix
	if under != "" {
		under += "/"
	}
	var errs []error
	for begun := range b.client.ListIncompleteUploads(ctx, b.bucket, under, true) {
		if minio.ToErrorResponse(begun.Err).Code == minio.NoSuchUpload {
			continue // some servers' way to say that there is none
		}
		if begun.Err != nil {
			errs = append(errs, fmt.Errorf("list unfinished uploads: %w", begun.Err))
			continue
		}
		if err := b.client.RemoveIncompleteUpload(ctx, b.bucket, begun.Key); err != nil {
			errs = append(errs, fmt.Errorf("end unfinished upload: %w", err))
		}
	}
	return errors.Join(errs...)
}

// errAborted ends an upload that is not wanted any more.
var errAborted = errors.New("upload aborted")

// upload is an object under construction. Its goroutine ends with Commit or Abort.
type upload struct {
	*io.PipeWriter
	done chan error
}

// Commit implements [File].
func (u *upload) Commit() error {
	_ = u.Close() // never fails
	return <-u.done
}

// Abort implements [File].
func (u *upload) Abort() error {
	_ = u.CloseWithError(errAborted) // never fails
	if err := <-u.done; err != nil && !errors.Is(err, errAborted) {
		return err
	}
	return nil
}
