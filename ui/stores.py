"""What the Connect page asks for each store: its fields, its credentials and what can be uploaded, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from migrator import connectors

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE_ONLY, TARGET_ONLY, BOTH = ("source",), ("target",), ("source", "target")


@dataclass(frozen=True)
class Field:
    """One thing to ask. ``name`` is the endpoint's option, ``""`` its resource."""

    name: str
    label: str
    placeholder: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    """Offered in a select box; the first is the default and leaves the option out."""
    sides: tuple[str, ...] = BOTH
    required: bool = False
    more: bool = False
    """Behind "More settings": rarely needed."""


@dataclass(frozen=True)
class Secret:
    """One secret and the environment variable it is read from when it is not typed."""

    name: str
    label: str
    variable: str
    required: bool = False
    """Whether the store asks everybody for it."""
    schemes: tuple[str, ...] = ()
    """Beginnings of the addresses it is for; empty for all."""
    typed_only: bool = False
    """Whether it is an alternative to another one, or to what the store's own tools find in the environment."""


@dataclass(frozen=True)
class Store:
    """A store as the Connect page shows it."""

    connector: str
    label: str
    fields: tuple[Field, ...]
    secrets: tuple[Secret, ...] = ()
    uploads: tuple[str, ...] = ()
    """File types that can be uploaded as a source; empty when there is nothing to upload."""
    upload_hint: str = ""
    sides: tuple[str, ...] = BOTH
    served: bool = False
    """Whether applications reach it by an address, so that there is something to cut over."""
    scaling: str = ""
    """How its capacity is written (``cutover --scale``), as an example; empty when it cannot be changed from here."""
    aliases: bool = False
    """Whether a cut-over can move an alias to its collection."""
    droppable: bool = False
    """Whether the old collection can be deleted after a cut-over."""

    def secrets_of(self, resource: str, options: Mapping[str, str], *, environment: bool = False) -> list[Secret]:
        """Return the secrets that an endpoint may need; with ``environment`` those that are taken from there together."""
        addresses = [*resource.split(","), *(options[name] for name in ("ids", "metadata") if options.get(name))]
        fitting = [secret for secret in self.secrets if not secret.schemes or any(address.startswith(secret.schemes) for address in addresses)]
        return [secret for secret in fitting if not (environment and secret.typed_only)]


BUCKET_FIELDS = (
    Field("endpoint", "Store endpoint", "https://minio.example.com:9000", "Only for buckets that are not in the cloud of AWS, Google or Azure.", more=True),
    Field("region", "S3 region", "eu-west-1", more=True),
    Field("role_arn", "S3 role", "arn:aws:iam::123456789012:role/reader", "Taken on with what this machine signs in with; no keys then.", more=True),
    Field("account", "Azure storage account", "mystorage", "Only for az:// addresses.", more=True),
)
_S3, _GOOGLE, _AZURE = ("s3://",), ("gs://",), ("az://", "abfs://", "abfss://")
BUCKET_SECRETS = (
    Secret("access_key", "S3 access key", "AWS_ACCESS_KEY_ID", schemes=_S3),
    Secret("secret_key", "S3 secret key", "AWS_SECRET_ACCESS_KEY", schemes=_S3),
    Secret("account_key", "Azure account key", "AZURE_STORAGE_KEY", schemes=_AZURE),
    Secret("sas_token", "Azure SAS token", "AZURE_STORAGE_SAS_TOKEN", schemes=_AZURE, typed_only=True),
    Secret("credentials", "Text of a Google key file", "GOOGLE_CREDENTIALS", schemes=_GOOGLE, typed_only=True),
)
OTHERS = Field("*", "Other options", "timeout=120&…", "Any other option of the endpoint, as name=value, joined by &.", more=True)
"""Every store takes it: the form asks for what is common, the command line's other options remain within reach."""

FAISS = Store(
    "faiss",
    "Faiss file",
    (
        Field(
            "",
            "Index file or LangChain folder",
            "/data/photos.index or s3://bucket/photos.index",
            "A path on the machine this dashboard runs on, or a bucket: s3://, gs:// (Google) or az:// (Azure).",
            required=True,
        ),
        Field("ids", "Ids", "/data/photos.ids.json", "A .npy, .json, .csv, .txt or .parquet file with one id a vector. Left empty: ids stored in the index."),
        Field("metadata", "Metadata", "/data/photos.metadata.jsonl", "A .jsonl, .json, .csv or .parquet file with one row a vector."),
        Field(
            "metric", "Metric", choices=("as the index says", "cosine", "dotproduct", "euclidean"), help="An inner-product index of unit vectors means cosine."
        ),
        *BUCKET_FIELDS,
        OTHERS,
    ),
    BUCKET_SECRETS,
    uploads=("index", "faiss", "bin", "ivf", "pkl", "npy", "json", "jsonl", "csv", "parquet", "zip"),
    upload_hint="The index with its ids and metadata files, or the files of a LangChain, LlamaIndex or txtai folder, or a .zip of them.",
    sides=SOURCE_ONLY,
)
INDEXES = ("as the server likes it", "AUTOINDEX", "FLAT", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "HNSW", "SCANN", "DISKANN", "BIN_FLAT", "BIN_IVF_FLAT")
MILVUS_SCHEMA = (
    Field("metric", "Metric of a new collection", choices=("the source's", "COSINE", "IP", "L2", "HAMMING", "JACCARD"), sides=TARGET_ONLY, more=True),
    Field("index_type", "Index type", choices=INDEXES, help="Built when the copy is finished.", sides=TARGET_ONLY, more=True),
    Field("index_params", "Index parameters", '{"M": 16, "efConstruction": 200}', "JSON; what is left out gets a usual value.", sides=TARGET_ONLY, more=True),
    Field("vector_type", "Vector type", choices=("float32", "float16", "bfloat16", "binary", "int8"), sides=TARGET_ONLY, more=True),
    Field("id_type", "Id type", choices=("the source's", "varchar", "int64"), sides=TARGET_ONLY, more=True),
    Field(
        "fields",
        "Typed columns",
        '{"year": "int64", "title": "varchar(200)"}',
        "JSON; the Plan page proposes them from a sample.",
        sides=TARGET_ONLY,
        more=True,
    ),
    Field("dynamic", "Dynamic field", choices=("true", "false"), help="For metadata without a column.", sides=TARGET_ONLY, more=True),
    Field("partition_key", "Partition key", "lang", "A metadata field, in place of the namespace.", sides=TARGET_ONLY, more=True),
    Field("dimension", "Dimension demanded", "1536", "Another one of the source is refused.", sides=TARGET_ONLY, more=True),
    Field("shards", "Shards", "1", "1 to 16.", sides=TARGET_ONLY, more=True),
    Field("consistency", "Consistency", choices=("bounded", "strong", "session", "eventually"), sides=TARGET_ONLY, more=True),
)
MILVUS = Store(
    "milvus",
    "Milvus / Zilliz",
    (
        Field(
            "uri",
            "URI",
            "http://127.0.0.1:19530 or ./vectors.db",
            "The address of a server or of Zilliz Cloud, or a Milvus Lite file ending in .db.",
            required=True,
        ),
        Field("", "Collection", "products", "Created if it does not exist.", required=True),
        Field(
            "namespace_mode",
            "Namespaces become",
            choices=("partition_key", "partition", "collection"),
            help="partition_key: one field of one collection, any number of namespaces. partition: at most 1,024. collection: one collection each.",
            sides=TARGET_ONLY,
            more=True,
        ),
        *MILVUS_SCHEMA,
        Field("database", "Database", "default", more=True),
        OTHERS,
    ),
    (Secret("token", "Token", "MILVUS_TOKEN"),),
    served=True,
    aliases=True,
)
PARQUET = Store(
    "parquet",
    "Parquet",
    (
        Field(
            "",
            "Folder, file or bucket",
            "/data/export or s3://bucket/prefix",
            "A path on the machine this dashboard runs on, or a bucket: s3://, gs:// (Google) or az:// (Azure).",
            required=True,
        ),
        *BUCKET_FIELDS,
        Field(
            "metric",
            "Metric",
            choices=("not recorded", "cosine", "dotproduct", "euclidean"),
            help="What the vectors mean, where the files do not say.",
            sides=SOURCE_ONLY,
        ),
        OTHERS,
    ),
    BUCKET_SECRETS,
    uploads=("parquet", "zip"),
    upload_hint="One or more .parquet files, or a .zip with a folder for each namespace.",
)
PINECONE = Store(
    "pinecone",
    "Pinecone",
    (
        Field("", "Index", "products", "As a target it is created from the source's dimension and metric if it does not exist.", required=True),
        Field("cloud", "Cloud", choices=("aws", "gcp", "azure"), help="Where a new serverless index is made.", sides=TARGET_ONLY),
        Field("region", "Region", "us-east-1", "The region of a new serverless index.", sides=TARGET_ONLY),
        Field(
            "deletion_protection",
            "Deletion protection",
            choices=("no", "yes"),
            help="Of a new index: whether it refuses to be deleted.",
            sides=TARGET_ONLY,
            more=True,
        ),
        Field(
            "integration",
            "Storage integration",
            "a12b3d4c-47d2-…",
            "Lets Pinecone import from a private bucket: its id, from the Pinecone console. Only for the route of staged files.",
            sides=TARGET_ONLY,
            more=True,
        ),
        Field(
            "ids",
            "Ids of a pod index",
            "/data/ids.txt",
            "Pod indexes cannot list their ids: a .txt, .jsonl, .csv or .npy file of them.",
            sides=SOURCE_ONLY,
            more=True,
        ),
        Field("controller", "Control plane", "https://api.pinecone.io", "Another address, for example that of a local server.", more=True),
        OTHERS,
    ),
    (Secret("api_key", "API key", "PINECONE_API_KEY", required=True),),
    served=True,
    scaling="mode=Dedicated&node_type=b1, or of a pod index replicas=2",
    droppable=True,
)
NUMPY = replace(PARQUET, connector="numpy", label="NumPy", uploads=(), upload_hint="")
KNOWN = (FAISS, MILVUS, NUMPY, PARQUET, PINECONE)


def offered(side: str) -> list[Store]:
    """Return the stores that can be ``side`` and whose connector is there."""
    return [store for store in KNOWN if side in store.sides and store.connector in connectors.REGISTRY]


def named(connector: str) -> Store:
    """Return the store of ``connector``; one without a form has its name only."""
    return next((store for store in KNOWN if store.connector == connector), Store(connector, connector, ()))
