"""Agent memory in Redis or Valkey: the backend `redis` of fastadk-memory."""

from fastadk_memory_redis.backend import RedisBackend
from fastadk_memory_redis.health import HealthReport, NodeHealth

__all__ = ["HealthReport", "NodeHealth", "RedisBackend"]
